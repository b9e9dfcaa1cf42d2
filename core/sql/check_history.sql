-- The versions of the changed keys, held against what must be true of any key's timeline.
WITH version AS (
    SELECT
        ${h_key},
        h.valid_from,
        h.valid_to,
        h.is_current
    FROM ${history} AS h
    /* incremental */ INNER JOIN ${changed} AS o ON ${same_key} /* end */
),
versioned_key AS (
    SELECT
        ${key},
        count(*) AS versions,
        sum(CASE WHEN is_current THEN 1 ELSE 0 END) AS current_versions,
        sum(CASE WHEN valid_to <= valid_from THEN 1 ELSE 0 END) AS reversed_versions,
        sum(CASE WHEN is_current <> (valid_to IS NULL) THEN 1 ELSE 0 END) AS contradictions
    FROM version
    GROUP BY ${key}
),
neighbour AS (
    SELECT
        h.valid_to,
        lead(h.valid_from) OVER (PARTITION BY ${h_key} ORDER BY h.valid_from, h.valid_to NULLS LAST) AS next_from
    FROM version AS h
    INNER JOIN versioned_key AS o
        ON ${same_key}
        AND o.versions > 1
)
SELECT
    (
        SELECT count(*)
        FROM neighbour
        WHERE next_from IS NOT NULL
            AND (valid_to IS NULL OR valid_to > next_from)
    ) AS no_overlap,
    coalesce(sum(reversed_versions), 0) AS valid_from_before_valid_to,
    coalesce(sum(CASE WHEN current_versions > 1 THEN 1 ELSE 0 END), 0) AS one_current_version,
    coalesce(sum(contradictions), 0) AS current_is_open
FROM versioned_key
