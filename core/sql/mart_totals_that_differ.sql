-- Those of the totals that are not what was kept last; a mart of which nothing was kept had no rows.
SELECT s.*
FROM (
    ${totals}
) AS s
LEFT JOIN (
    ${kept_last}
) AS k
    ON k.mart = s.mart
    AND k.measure = s.measure
WHERE s.row_count <> coalesce(k.row_count, 0)
    OR (k.mart IS NOT NULL AND s.total IS DISTINCT FROM k.total)
