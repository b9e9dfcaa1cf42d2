-- The observed rows whose value is no current key of the parent feed.
SELECT o.*
FROM ${observed} AS o
LEFT JOIN (
    SELECT ${parent_key} AS known
    FROM ${parent}
    WHERE is_current
) AS parent
    ON parent.known = o.${column}
WHERE o.${column} IS NOT NULL
    AND NOT o._absent
    AND parent.known IS NULL
