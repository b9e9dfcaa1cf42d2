"""Adapters to the world, each behind a protocol of core.ports; they don't import each other."""
