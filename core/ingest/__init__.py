"""The way of a drop, from its claim to the archive."""
