"""The record of every drop, and the tables that keep it."""
