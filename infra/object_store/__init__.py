"""The root as a bucket."""
