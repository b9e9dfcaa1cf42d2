CREATE TABLE IF NOT EXISTS schema_version (
    version BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS restoration (
    drop_id STRING NOT NULL,
    sequence BIGINT NOT NULL,
    restored_at TIMESTAMP NOT NULL,
    restored_by STRING NOT NULL,
    reason STRING NOT NULL
);
ALTER TABLE delivery ADD COLUMN rows_read BIGINT;
ALTER TABLE delivery ADD COLUMN rows_accepted BIGINT;
ALTER TABLE delivery ADD COLUMN rows_rejected BIGINT;
ALTER TABLE delivery ADD COLUMN rows_duplicate BIGINT;
ALTER TABLE delivery ADD COLUMN contract_sha256 STRING;
ALTER TABLE delivery ADD COLUMN error STRING;
ALTER TABLE rejected_row ADD COLUMN sequence BIGINT;
ALTER TABLE check_result ADD COLUMN sequence BIGINT;
ALTER TABLE pipeline_state ADD COLUMN pipeline STRING;
-- Versions before this one kept of each drop just the delivery that its row in the ledger tells of. What has a value is
-- left alone, so that one of these that is run late, for a process that has died, changes nothing.
MERGE INTO delivery AS d
USING (
    SELECT
        n.claim_id,
        l.sequence,
        l.rows_read,
        l.rows_accepted,
        l.rows_rejected,
        l.rows_duplicate,
        l.contract_sha256,
        l.error
    FROM drop_ledger AS l
    INNER JOIN (
        SELECT
            drop_id,
            claim_id,
            row_number() OVER (PARTITION BY drop_id ORDER BY received_at DESC, claim_id DESC) AS place
        FROM delivery
        WHERE outcome <> 'duplicate'
    ) AS n
        ON n.drop_id = l.drop_id
    WHERE n.place = 1
) AS told
    ON d.claim_id = told.claim_id
WHEN MATCHED AND d.rows_read IS NULL THEN UPDATE SET
    sequence = told.sequence,
    rows_read = told.rows_read,
    rows_accepted = told.rows_accepted,
    rows_rejected = told.rows_rejected,
    rows_duplicate = told.rows_duplicate,
    contract_sha256 = told.contract_sha256,
    error = told.error;
MERGE INTO rejected_row AS r
USING drop_ledger AS l
    ON r.drop_id = l.drop_id
WHEN MATCHED AND r.sequence IS NULL THEN UPDATE SET sequence = l.sequence;
MERGE INTO check_result AS c
USING drop_ledger AS l
    ON c.drop_id = l.drop_id
WHEN MATCHED AND c.sequence IS NULL THEN UPDATE SET sequence = l.sequence;
