SELECT 1 AS failing
FROM observation
HAVING count(DISTINCT method) > 1
