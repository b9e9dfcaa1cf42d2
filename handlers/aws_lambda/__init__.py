"""The handler of AWS Lambda."""
