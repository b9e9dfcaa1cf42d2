"""Adapters to the world, each behind a protocol of dropledger.core.ports; they don't import each other."""
