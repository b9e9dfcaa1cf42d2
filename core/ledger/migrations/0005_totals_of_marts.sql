CREATE TABLE IF NOT EXISTS mart_total (
    place BIGINT NOT NULL,
    drop_id STRING,
    cause STRING NOT NULL,
    mart STRING NOT NULL,
    measure STRING NOT NULL,
    row_count BIGINT NOT NULL,
    total DECIMAL(38, 10),
    moment TIMESTAMP,
    measured_at TIMESTAMP
);
