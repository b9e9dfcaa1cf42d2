"""What dropledger is about: drops, history, interest. Imports nothing of handlers or infra."""
