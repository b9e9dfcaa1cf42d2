-- Valid rows whose value is no current key of the parent feed.
SELECT
    p._line,
    FALSE AS _duplicate,
    ${column_name} AS column_name,
    ${rule_name} AS rule,
    ${reason} AS reason
FROM parsed AS p
WHERE p._valid
    AND p.${column} IS NOT NULL
    AND NOT EXISTS (
        SELECT 1
        FROM ${parent} AS parent
        WHERE parent.${parent_key} = p.${column}
            AND parent.is_current
    )
