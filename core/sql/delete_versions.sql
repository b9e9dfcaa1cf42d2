DELETE FROM ${history} AS h
WHERE EXISTS (
    SELECT 1
    FROM removed_version AS o
    WHERE ${same_key}
        AND o.valid_from = h.valid_from
)
