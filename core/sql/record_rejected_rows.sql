INSERT INTO rejected_row (drop_id, sequence, line, column_name, rule, reason, raw)
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
