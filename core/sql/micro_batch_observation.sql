-- What the drops of a micro-batch observed, each at its as_of, or facts each at their own time.
SELECT
    ${o_columns},
    ${effective_at} AS _effective_at,
    o._absent,
    o._line,
    m.sequence AS _sequence,
    m.drop_id AS _drop_id
FROM ${together} AS o
INNER JOIN _dl_micro_batch AS m
    ON m._file = o._file
