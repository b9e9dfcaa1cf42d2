-- What a drop did to a mart: rows added, changed and removed, with each figure before and after.
SELECT
    ${t_key},
    CASE
        WHEN b.${first_key} IS NULL THEN 'added'
        WHEN a.${first_key} IS NULL THEN 'removed'
        ELSE 'changed'
    END AS change,
    ${before_and_after}
FROM ${touched} AS t
LEFT JOIN ${before} AS b
    ON ${same_before}
LEFT JOIN ${mart} AS a
    ON ${same_after}
WHERE (b.${first_key} IS NULL) <> (a.${first_key} IS NULL)
    OR ${differs}
ORDER BY ${t_key}
