-- The versions of keys of which each has one, held against what must be true of any key's timeline.
SELECT
    0 AS no_overlap,
    count(CASE WHEN valid_to <= valid_from THEN 1 END) AS valid_from_before_valid_to,
    0 AS one_current_version,
    count(CASE WHEN is_current <> (valid_to IS NULL) THEN 1 END) AS current_is_open
FROM ${history}
