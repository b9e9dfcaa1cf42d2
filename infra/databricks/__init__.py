"""The warehouse in Databricks."""
