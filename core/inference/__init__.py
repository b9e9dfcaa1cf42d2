"""What files are like, inferred from their rows: the contracts that a person would write, to be corrected."""
