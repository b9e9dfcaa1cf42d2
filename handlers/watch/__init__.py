"""The folder handler."""
