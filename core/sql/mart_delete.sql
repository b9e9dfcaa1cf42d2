DELETE FROM ${mart} AS m
WHERE EXISTS (
    SELECT 1
    FROM ${touched} AS t
    WHERE ${same_key}
)
