-- The versions that a drop closed, as they were.
SELECT
    ${h_columns},
    h.valid_from,
    CAST(NULL AS TIMESTAMP) AS valid_to,
    TRUE AS is_current,
    h.drop_id,
    h.line
FROM ${history} AS h
INNER JOIN ${change} AS o
    ON ${same_key}
    AND h.valid_to = o._effective_at
WHERE o._closes
