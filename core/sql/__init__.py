"""Portable SQL: the statements that core runs in every engine."""
