-- Of the lines in which a complete extract differs from the one before: keys that this one lacks, and keys that were
-- known although no line of theirs has gone, so that they may stand in a line that both files have.
SELECT
    (
        SELECT count(*)
        FROM _dl_gone AS h
        WHERE NOT EXISTS (
            SELECT 1
            FROM _dl_parsed AS o
            WHERE ${same_key}
        )
    ) AS missing,
    (
        SELECT count(*)
        FROM _dl_parsed AS o
        INNER JOIN ${history} AS h
            ON ${same_key}
            AND h.is_current
        WHERE NOT EXISTS (
            SELECT 1
            FROM _dl_gone AS g
            WHERE ${same_as_gone}
        )
    ) AS known
