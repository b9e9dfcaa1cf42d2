-- The rows of ${feed} that are true now.
SELECT
    ${columns}
FROM history_${feed} AS h
WHERE h.is_current
