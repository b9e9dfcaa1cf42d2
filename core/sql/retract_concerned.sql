-- The keys whose timeline may change when a drop is taken back, each from the first of its observations that
-- may have mattered: a version that it opened, or one that ends where it observed something. Where another drop
-- observed the same moments, any of its observations may have hidden another.
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
        AND (h.valid_from = :as_of OR h.valid_to = :as_of)
        AND o._line IS NULL
)
SELECT
    ${o_key},
    min(o._effective_at) AS changed_from
FROM observed AS o
WHERE :shares_moments
    OR EXISTS (
        SELECT 1
        FROM ${history} AS h
        WHERE ${same_key}
            AND (h.drop_id = :drop_id OR h.valid_to = o._effective_at)
    )
GROUP BY ${o_key}
