-- The rows of ${feed} that are true now.
SELECT
    ${columns}
FROM history_${feed} AS h
INNER JOIN touched_${mart} AS t
    ON ${same_key}
WHERE h.is_current
