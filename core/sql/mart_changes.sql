-- What a drop did to a mart: rows added, changed and removed, with each figure before and after.
SELECT
    ${either_key},
    CASE
        WHEN b.${first_key} IS NULL THEN 'added'
        WHEN a.${first_key} IS NULL THEN 'removed'
        ELSE 'changed'
    END AS change,
    ${before_and_after}
FROM ${before} AS b
FULL OUTER JOIN (
    SELECT m.*
    FROM ${mart} AS m
    /* incremental */ INNER JOIN ${touched} AS t ON ${same_key} /* end */
) AS a
    ON ${same_row}
WHERE (b.${first_key} IS NULL) <> (a.${first_key} IS NULL)
    OR ${differs}
ORDER BY ${key}
