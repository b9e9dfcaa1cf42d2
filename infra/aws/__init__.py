"""What AWS offers, behind the ports."""
