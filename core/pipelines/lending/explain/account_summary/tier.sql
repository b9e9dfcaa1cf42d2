-- The highest tier that the balance reaches.
SELECT
    r.min_balance,
    r.method,
    r.drop_id,
    r.line,
    r.file
FROM rate_card AS r
CROSS JOIN account AS a
WHERE r.min_balance <= a.balance
ORDER BY r.min_balance DESC
LIMIT 1
