-- The keys whose timeline may change when a drop that was taken back is taken in again, each from the first of its
-- observations: those that it observed, and where it is a complete extract, those that it lacks and that have a version
-- at its time.
WITH observed AS (
    SELECT
        ${o_key},
        o._effective_at
    FROM _dl_parsed_again AS o
    WHERE o._valid
        AND o._line NOT IN (
            SELECT line
            FROM rejected_row
            WHERE drop_id = :drop_id
                AND sequence = :sequence
        )
    UNION
    SELECT
        ${h_key},
        CAST(:as_of AS TIMESTAMP)
    FROM ${history} AS h
    LEFT JOIN _dl_parsed_again AS o
        ON ${same_key}
    WHERE ${closes_missing}
        AND h.valid_from <= :as_of
        AND (h.valid_to IS NULL OR h.valid_to > :as_of)
        AND o._line IS NULL
)
SELECT
    ${o_key},
    min(o._effective_at) AS changed_from
FROM observed AS o
GROUP BY ${o_key}
