SELECT 1 AS failing
FROM observation
HAVING min(min_balance) > 0
