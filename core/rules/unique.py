"""The rule `unique`: no other row of the file has the same value. See `refuse_not_unique.sql`."""

from dropledger.core.rules.over_rows import OverRows

KIND = OverRows()
