DELETE FROM ${history}
WHERE (${key}, valid_from) IN (
    SELECT
        ${key},
        valid_from
    FROM removed_version
)
