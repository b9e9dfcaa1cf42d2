CREATE TABLE IF NOT EXISTS ${history} (
    ${typed_columns},
    valid_from TIMESTAMP NOT NULL,
    valid_to TIMESTAMP,
    is_current BOOLEAN NOT NULL,
    drop_id STRING NOT NULL,
    line BIGINT NOT NULL
) /* cluster by ${clustered} */
