-- The complete extracts of a feed that are in history, newest first, each with how many known keys it lacked when it was
-- taken (NULL where that was not counted), and whether it was ever taken back.
SELECT
    l.*,
    c.lacked,
    r.drop_id IS NOT NULL AS was_retracted
FROM (
    SELECT
        ${columns},
        rows_rejected
    FROM drop_ledger
    WHERE feed = :feed
        AND status IN (${in_history})
        AND as_of >= :since
        AND (CAST(:until AS TIMESTAMP) IS NULL OR as_of <= CAST(:until AS TIMESTAMP))
) AS l
LEFT JOIN (
    SELECT
        drop_id,
        sequence,
        max(failing_rows) AS lacked
    FROM check_result
    WHERE check_name = 'missing_keys'
    GROUP BY drop_id, sequence
) AS c
    ON c.drop_id = l.drop_id
    AND c.sequence = l.sequence
LEFT JOIN (
    SELECT DISTINCT drop_id
    FROM retraction
) AS r
    ON r.drop_id = l.drop_id
ORDER BY l.as_of DESC, l.sequence DESC
