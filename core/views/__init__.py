"""What people and programs ask of the ledger."""
