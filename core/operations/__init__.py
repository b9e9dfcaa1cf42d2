"""What is done to the past as a whole: replay, backfill, retract, verify, plan."""
