"""Contracts as documents of the Open Data Contract Standard (ODCS), version 3.1.0, and the other way.

What the standard has a word for stands there in its words. The rest stands beside it, in entries of ours, as the custom
property `dropledger`.
"""

API_VERSION = "v3.1.0"
OURS = "dropledger"
"""The custom property, and the engine of custom quality rules, that only dropledger reads."""
