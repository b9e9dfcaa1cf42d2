-- The known keys that a complete extract lacks, observed absent at its as_of. A key with a refused row is not
-- observed: parsed holds every row whose key could be read.
SELECT
    0 AS _line,
    ${h_columns},
    CAST(:as_of AS TIMESTAMP) AS _effective_at,
    TRUE AS _absent
FROM ${known} AS h
LEFT JOIN _dl_parsed AS o
    ON ${same_key}
WHERE o._line IS NULL
