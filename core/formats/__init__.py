"""What a file is by its bytes: text, header, rows."""
