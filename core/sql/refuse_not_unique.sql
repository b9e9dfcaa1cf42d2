-- Valid rows that share a value in a column that must be unique; a deletion says nothing but its key.
SELECT
    p._line,
    FALSE AS _duplicate,
    ${column_name} AS column_name,
    ${rule_name} AS rule,
    ${reason} AS reason
FROM _dl_parsed AS p
INNER JOIN (
    SELECT ${column}
    FROM _dl_parsed
    WHERE _valid
        AND NOT _absent
        AND ${column} IS NOT NULL
    GROUP BY ${column}
    HAVING count(DISTINCT (${key})) > 1
) AS repeated
    ON repeated.${column} = p.${column}
WHERE p._valid
    AND NOT p._absent
