"""What the tables and views of a pipeline are made of."""
