-- The activities that were played, as they stand, with the file and line behind each.
SELECT DISTINCT
    a.activity_id,
    a.name,
    coalesce(a.type, 'unknown') AS type,
    a.valid_from,
    a.drop_id,
    a.line,
    d.name AS file
FROM events AS e
INNER JOIN history_activity AS a
    ON a.activity_id = e.activity_id
    AND a.valid_from = e.activity_since
LEFT JOIN drop_ledger AS d
    ON d.drop_id = a.drop_id
ORDER BY a.activity_id
