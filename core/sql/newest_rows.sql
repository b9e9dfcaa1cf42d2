-- A drop's rows as received; _accepted is false for those refused or counted as duplicates.
SELECT
    CAST(:drop_id AS STRING) AS _drop_id,
    s._line,
    ${columns},
    NOT EXISTS (
        SELECT 1
        FROM left_out AS l
        WHERE l._line = s._line
    ) AS _accepted
FROM ${source} AS s
