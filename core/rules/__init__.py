"""A contract's types and rules as SQL text."""
