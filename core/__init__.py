"""What dropledger is about: drops, history, interest. Imports nothing of handlers or infra."""

__version__ = "0.1.0"
