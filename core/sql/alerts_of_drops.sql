-- Drops that were refused, and drops of which rows were. `over` is whether something better has come: a correction of
-- the file, or a later drop of the feed without a refused row. What was over when it was first looked at is told of as
-- well, if the drop came after the target's first look.
SELECT
    f.state,
    f.drop_id,
    f.feed,
    f.name,
    f.rows_rejected,
    f.over
FROM (
    SELECT
        'quarantined' AS state,
        l.drop_id,
        coalesce(l.feed, '') AS feed,
        l.name,
        l.rows_rejected,
        l.received_at,
        s.drop_id IS NOT NULL AS over
    FROM drop_ledger AS l
    LEFT JOIN (
        ${superseded}
    ) AS s
        ON s.drop_id = l.drop_id
    WHERE l.status = 'quarantined'
    UNION ALL
    SELECT
        'rejected' AS state,
        l.drop_id,
        coalesce(l.feed, '') AS feed,
        l.name,
        l.rows_rejected,
        l.received_at,
        coalesce(c.sequence > l.sequence, FALSE) AS over
    FROM drop_ledger AS l
    LEFT JOIN (
        SELECT
            feed,
            max(sequence) AS sequence
        FROM drop_ledger
        WHERE status IN ('committed', 'published')
            AND rows_rejected = 0
        GROUP BY feed
    ) AS c
        ON c.feed = l.feed
    WHERE l.status IN ('committed', 'published')
        AND l.rows_rejected > 0
) AS f
LEFT JOIN (
    SELECT DISTINCT
        state,
        subject
    FROM alert
    WHERE target = :target
) AS t
    ON t.state = f.state
    AND t.subject = f.drop_id
WHERE NOT f.over
    OR (f.received_at >= CAST(:since AS TIMESTAMP) AND t.subject IS NULL)
ORDER BY f.received_at, f.drop_id
