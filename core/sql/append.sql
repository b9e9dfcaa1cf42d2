-- What observations later than all before them, one a key, do to the open versions: a row for each key that
-- changes.
SELECT
    ${o_columns},
    o._line,
    o._effective_at,
    NOT o._absent AS _opens,
    h.is_current IS NOT NULL AS _closes
FROM observation AS o
LEFT JOIN (
    SELECT *
    FROM ${history}
    WHERE is_current
) AS h
    ON ${same_key}
WHERE (o._absent AND h.is_current IS NOT NULL)
    OR (NOT o._absent AND (h.is_current IS NULL OR ${differs}))
