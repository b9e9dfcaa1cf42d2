-- The versions that a drop opens.
SELECT
    ${o_columns},
    o._effective_at,
    NULL,
    TRUE,
    :drop_id,
    o._line
FROM ${change} AS o
WHERE o._opens
