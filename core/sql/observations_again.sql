-- What an archived drop observed of the concerned keys at or behind the time from which they change. Rows that
-- were refused then are left out; of rows alike the first stands, as it did then.
WITH numbered AS (
    SELECT
        ${o_columns},
        o._effective_at,
        o._absent,
        o._line,
        row_number() OVER (PARTITION BY ${o_key}, o._effective_at ORDER BY o._line) AS place
    FROM parsed_again AS o
    INNER JOIN concerned AS h
        ON ${same_key}
        AND o._effective_at >= h.changed_from
    WHERE o._valid
        AND o._line NOT IN (
            SELECT line
            FROM rejected_row
            WHERE drop_id = :drop_id
        )
)
SELECT
    ${columns},
    _effective_at,
    _absent,
    _line,
    CAST(:sequence AS BIGINT) AS _sequence,
    CAST(:drop_id AS STRING) AS _drop_id
FROM numbered
WHERE place = 1
