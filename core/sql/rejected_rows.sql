-- The refused rows of a drop with their text as received, in the order of its file.
SELECT
    :drop_id,
    CAST(:sequence AS BIGINT),
    l._line,
    l.column_name,
    l.rule,
    l.reason,
    r.raw
FROM _dl_left_out AS l
LEFT JOIN _dl_raw_row AS r
    ON r._line = l._line
WHERE NOT l._duplicate
ORDER BY l._line
