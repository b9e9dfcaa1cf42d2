SELECT count(*) AS failing
FROM observation AS o
WHERE o.${column} IS NOT NULL
    AND NOT EXISTS (
        SELECT 1
        FROM ${parent} AS parent
        WHERE parent.${parent_key} = o.${column}
            AND parent.is_current
    )
