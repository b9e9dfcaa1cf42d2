-- The versions that the merged ones may replace.
SELECT
    ${h_columns},
    h.valid_from,
    h.valid_to,
    h.is_current,
    h.drop_id,
    h.line
FROM ${history} AS h
INNER JOIN _dl_affected_key AS o
    ON ${same_key}
WHERE h.valid_to IS NULL
    OR h.valid_to >= o.changed_from
