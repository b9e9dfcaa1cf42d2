"""The web console: pages for people, and the same as JSON; it shows what the ledger knows."""
