DELETE FROM ${history}
WHERE (${key}, valid_from) IN (
    SELECT
        ${key},
        valid_from
    FROM _dl_removed_version
)
