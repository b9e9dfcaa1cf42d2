ALTER TABLE pipeline_state ADD COLUMN manifest_sha256 STRING;
