-- The keys whose timeline may change when a drop is taken back, or taken in again, each from the first of its
-- observations that may matter: those that it observed, and where it is a complete extract, those that it lacks and that
-- have a version which is true at its time, or ends there. Where nothing else observed the same moments, just those
-- matter that opened a version or closed one; else any of them may hide, or have hidden, another.
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
        AND (h.valid_to IS NULL OR h.valid_to >= :as_of)
        AND o._line IS NULL
)
SELECT
    ${o_key},
    min(o._effective_at) AS changed_from
FROM observed AS o
WHERE :any_may_matter
    OR EXISTS (
        SELECT 1
        FROM ${history} AS h
        WHERE ${same_key}
            AND (h.drop_id = :drop_id OR h.valid_to = o._effective_at)
    )
GROUP BY ${o_key}
