-- The touched rows of a mart, anew: those that were there go by their key, and what its SQL gives comes in whatever its
-- key, so that a key which is missing or comes twice is found by the checks.
MERGE INTO ${mart} AS m
USING (
    SELECT
        FALSE AS _dl_fresh,
        ${keys_before},
        b.*
    FROM ${before} AS b
    UNION ALL
    SELECT
        TRUE AS _dl_fresh,
        ${no_keys},
        n.*
    FROM (
        ${select}
    ) AS n
) AS n
ON ${same_key_before}
WHEN MATCHED THEN DELETE
WHEN NOT MATCHED AND n._dl_fresh THEN INSERT (${all_columns}) VALUES (${new_columns})
