"""What sends messages: a module for each kind of address, and what sends them beside other work."""
