-- The current rows of ${feed} by ${group}.
SELECT
    h.${group},
    count(*) AS row_count${sums}
FROM history_${feed} AS h
WHERE h.is_current
GROUP BY h.${group}
