-- The drop of a feed that observed last, and whether anything was done since that the ledger does not show on it.
SELECT
    ${columns},
    l.rows_read,
    l.rows_accepted,
    (
        SELECT count(*)
        FROM retraction AS r
        WHERE r.retracted_at >= l.received_at
    ) AS retractions_since
FROM drop_ledger AS l
WHERE l.feed = :feed
    AND l.status IN ('committed', 'published')
ORDER BY l.last_effective DESC, l.sequence DESC
LIMIT 1
