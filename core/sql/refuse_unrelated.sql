-- Valid rows whose value is no current key of the parent feed; a deletion says nothing but its key.
SELECT
    p._line,
    FALSE AS _duplicate,
    ${column_name} AS column_name,
    ${rule_name} AS rule,
    ${reason} AS reason
FROM _dl_parsed AS p
LEFT JOIN (
    SELECT ${parent_key} AS known
    FROM ${parent}
    WHERE is_current
) AS parent
    ON parent.known = p.${column}
WHERE p._valid
    AND NOT p._absent
    AND p.${column} IS NOT NULL
    AND parent.known IS NULL
