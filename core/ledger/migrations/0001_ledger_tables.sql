CREATE TABLE IF NOT EXISTS drop_ledger (
    drop_id STRING NOT NULL,
    feed STRING,
    uri STRING NOT NULL,
    name STRING NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 STRING NOT NULL,
    as_of TIMESTAMP,
    as_of_source STRING,
    sequence BIGINT NOT NULL,
    received_at TIMESTAMP NOT NULL,
    status STRING NOT NULL,
    rows_read BIGINT NOT NULL,
    rows_accepted BIGINT NOT NULL,
    rows_rejected BIGINT NOT NULL,
    rows_duplicate BIGINT NOT NULL,
    versions_opened BIGINT NOT NULL,
    versions_closed BIGINT NOT NULL,
    first_effective TIMESTAMP,
    last_effective TIMESTAMP,
    contract_sha256 STRING,
    error STRING,
    committed_at TIMESTAMP,
    published_at TIMESTAMP
);
CREATE TABLE IF NOT EXISTS delivery (
    drop_id STRING NOT NULL,
    uri STRING NOT NULL,
    received_at TIMESTAMP NOT NULL,
    outcome STRING NOT NULL,
    sequence BIGINT,
    claim_id STRING NOT NULL
);
CREATE TABLE IF NOT EXISTS retraction (
    drop_id STRING NOT NULL,
    sequence BIGINT NOT NULL,
    retracted_at TIMESTAMP NOT NULL,
    retracted_by STRING NOT NULL,
    reason STRING NOT NULL
);
CREATE TABLE IF NOT EXISTS rejected_row (
    drop_id STRING NOT NULL,
    line BIGINT NOT NULL,
    column_name STRING,
    rule STRING NOT NULL,
    reason STRING NOT NULL,
    raw STRING
);
CREATE TABLE IF NOT EXISTS check_result (
    drop_id STRING NOT NULL,
    layer STRING NOT NULL,
    model STRING NOT NULL,
    check_name STRING NOT NULL,
    severity STRING NOT NULL,
    passed BOOLEAN NOT NULL,
    failing_rows BIGINT NOT NULL,
    message STRING NOT NULL
);
CREATE TABLE IF NOT EXISTS contract_text (
    feed STRING NOT NULL,
    sha256 STRING NOT NULL,
    yaml STRING NOT NULL,
    initial STRING,
    place BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS pipeline_state (
    definition_sha256 STRING NOT NULL,
    artifacts_current BOOLEAN NOT NULL
);
