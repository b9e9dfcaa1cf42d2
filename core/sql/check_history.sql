-- The versions of the changed keys, held against what must be true of any key's timeline.
WITH neighbour AS (
    SELECT
        h.valid_from,
        h.valid_to,
        h.is_current,
        lead(h.valid_from) OVER (PARTITION BY ${h_key} ORDER BY h.valid_from, h.valid_to NULLS LAST) AS next_from,
        lead(h.is_current) OVER (PARTITION BY ${h_key} ORDER BY h.valid_from, h.valid_to NULLS LAST) AS next_current
    FROM ${history} AS h
    INNER JOIN ${changed} AS o
        ON ${same_key}
)
SELECT
    coalesce(sum(CASE WHEN next_from IS NOT NULL AND (valid_to IS NULL OR valid_to > next_from) THEN 1 ELSE 0 END), 0)
        AS no_overlap,
    coalesce(sum(CASE WHEN valid_to <= valid_from THEN 1 ELSE 0 END), 0) AS valid_from_before_valid_to,
    coalesce(sum(CASE WHEN is_current AND next_current THEN 1 ELSE 0 END), 0) AS one_current_version,
    coalesce(sum(CASE WHEN is_current <> (valid_to IS NULL) THEN 1 ELSE 0 END), 0) AS current_is_open
FROM neighbour
