CREATE TABLE IF NOT EXISTS alert (
    alert_id STRING NOT NULL,
    target STRING NOT NULL,
    state STRING NOT NULL,
    feed STRING NOT NULL,
    subject STRING NOT NULL,
    says STRING NOT NULL,
    hint STRING NOT NULL,
    began_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    told_at TIMESTAMP,
    end_told_at TIMESTAMP,
    tried_at TIMESTAMP,
    tries BIGINT NOT NULL
);
