"""What is done to a drop, step by step."""
