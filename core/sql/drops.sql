-- The drops, each with who took it back, if it is taken back, and with the drop that corrected it, if it was refused.
-- A correction is a drop that came later under the same name for the same as_of, or with the same bytes; a file that
-- belonged to no feed has another drop_id than when it is dropped again with --feed.
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
    SELECT
        q.drop_id,
        max(a.drop_id) AS superseded_by
    FROM drop_ledger AS q
    INNER JOIN drop_ledger AS a
        ON a.name = q.name
        AND a.sequence > q.sequence
        AND (a.as_of = q.as_of OR a.sha256 = q.sha256)
    WHERE q.status = 'quarantined'
        AND a.status IN ('committed', 'published')
    GROUP BY q.drop_id
) AS s
    ON s.drop_id = l.drop_id
