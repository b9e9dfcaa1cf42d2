-- What becomes of the rows that several drops brought, each key once a drop: of a key that was not known, the row
-- received first is new; all others are held against the row that stands.
WITH numbered AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY ${key} ORDER BY _sequence) AS _place
    FROM _dl_merged_observation
),
standing AS (
    SELECT
        ${columns},
        valid_from,
        TRUE AS _known
    FROM _dl_known_fact
    UNION ALL
    SELECT
        ${o_columns},
        o._effective_at,
        FALSE
    FROM numbered AS o
    WHERE o._place = 1
        AND NOT EXISTS (
            SELECT 1
            FROM _dl_known_fact AS h
            WHERE ${same_key}
        )
)
SELECT
    ${o_columns},
    o._effective_at,
    o._line,
    o._sequence,
    o._drop_id,
    o._place = 1 AND NOT h._known AS _new,
    NOT (o._place = 1 AND NOT h._known) AND NOT (h.valid_from <> o._effective_at OR ${differs}) AS _duplicate
FROM numbered AS o
INNER JOIN standing AS h
    ON ${same_key}
