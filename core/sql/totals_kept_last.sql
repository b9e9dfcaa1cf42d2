-- The last total of each mart that was kept.
SELECT
    mart,
    measure,
    row_count,
    total
FROM (
    SELECT
        mart,
        measure,
        row_count,
        total,
        row_number() OVER (PARTITION BY mart, measure ORDER BY place DESC) AS newest
    FROM ${mart_total}
) AS kept
WHERE newest = 1
