-- The open versions that end, as they are then.
SELECT
    ${h_columns},
    h.valid_from,
    o._effective_at AS valid_to,
    FALSE AS is_current,
    h.drop_id,
    h.line
FROM ${history} AS h
INNER JOIN ${change} AS o
    ON ${same_key}
WHERE h.is_current
    AND o._closes
