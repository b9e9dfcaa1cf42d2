-- What a drop did to a mart: rows added, changed and removed, with each figure before and after.
WITH after_rows AS (
    SELECT m.*
    FROM ${mart} AS m
    INNER JOIN ${touched} AS t
        ON ${same_key}
)
SELECT
    ${coalesced_key},
    CASE
        WHEN b.${first_key} IS NULL THEN 'added'
        WHEN a.${first_key} IS NULL THEN 'removed'
        ELSE 'changed'
    END AS change,
    ${before_and_after}
FROM ${before} AS b
FULL OUTER JOIN after_rows AS a
    ON ${same_row}
WHERE b.${first_key} IS NULL
    OR a.${first_key} IS NULL
    OR ${differs}
ORDER BY ${key}
