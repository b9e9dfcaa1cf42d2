-- The affected keys that an archived complete extract lacks.
SELECT
    ${h_columns},
    CAST(:as_of AS TIMESTAMP) AS _effective_at,
    TRUE AS _absent,
    0 AS _line,
    CAST(:sequence AS BIGINT) AS _sequence,
    CAST(:drop_id AS STRING) AS _drop_id
FROM _dl_affected_key AS h
LEFT JOIN _dl_parsed_again AS o
    ON ${same_key}
WHERE h.changed_from <= :as_of
    AND o._line IS NULL
