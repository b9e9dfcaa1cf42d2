MERGE INTO ${history} AS h
USING ${change} AS o
    ON ${same_key}
    AND h.is_current
WHEN MATCHED AND o._closes THEN UPDATE SET
    valid_to = o._effective_at,
    is_current = FALSE
