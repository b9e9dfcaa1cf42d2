-- The checks that failed for the newest drop of each feed that was checked at all.
SELECT
    coalesce(l.feed, '') AS feed,
    c.model,
    c.check_name,
    c.failing_rows,
    l.drop_id
FROM check_result AS c
INNER JOIN drop_ledger AS l
    ON l.drop_id = c.drop_id
    AND l.sequence = c.sequence
INNER JOIN (
    SELECT
        d.feed,
        max(r.sequence) AS sequence
    FROM check_result AS r
    INNER JOIN drop_ledger AS d
        ON d.drop_id = r.drop_id
        AND d.sequence = r.sequence
    WHERE d.status <> 'retracted'
    GROUP BY d.feed
) AS n
    ON n.sequence = c.sequence
WHERE NOT c.passed
ORDER BY l.feed, c.model, c.check_name
