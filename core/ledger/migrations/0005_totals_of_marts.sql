ALTER TABLE drop_ledger ADD COLUMN mart_totals STRING;
