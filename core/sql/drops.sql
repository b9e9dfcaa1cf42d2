-- The drops, each with who took it back, if it is taken back, and with the drop that corrected it, if it was refused.
SELECT
    l.drop_id,
    l.feed,
    l.name,
    l.as_of,
    l.as_of_source,
    l.sequence,
    l.received_at,
    l.status,
    l.rows_read,
    l.rows_accepted,
    l.rows_rejected,
    l.rows_duplicate,
    l.versions_opened,
    l.versions_closed,
    l.error,
    l.committed_at,
    l.published_at,
    t.retracted_at,
    t.retracted_by,
    t.reason AS retracted_because,
    s.superseded_by
FROM drop_ledger AS l
LEFT JOIN (
    SELECT
        drop_id,
        retracted_at,
        retracted_by,
        reason,
        row_number() OVER (PARTITION BY drop_id ORDER BY retracted_at DESC) AS place
    FROM retraction
) AS t
    ON t.drop_id = l.drop_id
    AND t.place = 1
    AND l.status = 'retracted'
LEFT JOIN (
    ${superseded}
) AS s
    ON s.drop_id = l.drop_id
