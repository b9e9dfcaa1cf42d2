-- The versions of the changed keys, held against what must be true of any key's timeline.
WITH version AS (
    SELECT
        h.valid_from,
        h.valid_to,
        h.is_current,
        lead(h.valid_from) OVER (
            PARTITION BY ${h_key}
            ORDER BY h.valid_from, h.valid_to NULLS LAST
        ) AS next_from,
        count(CASE WHEN h.is_current THEN 1 END) OVER (
            PARTITION BY ${h_key}
            ORDER BY h.valid_from, h.valid_to NULLS LAST
        ) AS current_so_far
    FROM ${history} AS h
    /* incremental */ INNER JOIN ${changed} AS o ON ${same_key} /* end */
)
SELECT
    count(CASE WHEN next_from IS NOT NULL AND (valid_to IS NULL OR valid_to > next_from) THEN 1 END) AS no_overlap,
    count(CASE WHEN valid_to <= valid_from THEN 1 END) AS valid_from_before_valid_to,
    count(CASE WHEN is_current AND current_so_far > 1 THEN 1 END) AS one_current_version,
    count(CASE WHEN is_current <> (valid_to IS NULL) THEN 1 END) AS current_is_open
FROM version
