ALTER TABLE pipeline_state ADD COLUMN meaning_sha256 STRING;
