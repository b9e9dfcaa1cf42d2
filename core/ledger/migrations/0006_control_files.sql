ALTER TABLE drop_ledger ADD COLUMN control_sha256 STRING;
