-- All themes, those that are no longer there too, where usage or the catalog changed: to count one reads all usage.
SELECT t.theme
FROM (
    SELECT coalesce(theme, 'unknown') AS theme
    FROM history_catalog
    WHERE is_current
    UNION
    SELECT theme
    FROM q1_completion_rate
    UNION
    SELECT 'unknown'
) AS t
WHERE EXISTS (SELECT 1 FROM changed_usage)
    OR EXISTS (SELECT 1 FROM changed_catalog)
