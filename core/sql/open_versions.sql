INSERT INTO ${history} (${columns}, valid_from, valid_to, is_current, drop_id, line)
SELECT
    ${o_columns},
    o._effective_at,
    NULL,
    TRUE,
    :drop_id,
    o._line
FROM ${change} AS o
WHERE o._opens
