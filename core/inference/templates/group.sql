-- The current rows of ${feed} by ${group}. All groups are computed after each drop, which is right whatever a file
-- changes; docs/contracts.md shows how to compute just those that it touches.
SELECT
    h.${group},
    count(*) AS row_count${sums}
FROM history_${feed} AS h
INNER JOIN touched_${mart} AS t
    ON t.${group} = h.${group}
WHERE h.is_current
GROUP BY h.${group}
