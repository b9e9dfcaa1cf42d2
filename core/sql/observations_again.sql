-- What an archived drop observed of the affected keys at or behind the time from which they change. Of rows alike the
-- first stands for all, as it did then: where it was refused, the others are no observation either.
WITH alike AS (
    SELECT
        ${o_columns},
        o._effective_at,
        o._absent,
        o._line,
        row_number() OVER (PARTITION BY ${o_observed}, o._effective_at, o._absent ORDER BY o._line) AS _place
    FROM _dl_parsed_again AS o
    INNER JOIN _dl_affected_key AS h
        ON ${same_key}
        ${from_change}
    WHERE o._valid
),
numbered AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY ${key}, _effective_at ORDER BY _line) AS _place_of_key
    FROM alike
    WHERE _place = 1
        AND _line NOT IN (
            SELECT line
            FROM rejected_row
            WHERE drop_id = :drop_id
                AND sequence = :sequence
                ${judged_anew}
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
WHERE _place_of_key = 1
