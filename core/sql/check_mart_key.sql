-- The rows of a mart that have no key, wherever they stand, and the touched keys that several rows have.
SELECT
    (
        SELECT count(*)
        FROM ${mart} AS m
        WHERE ${key_is_null}
    ) AS without_key,
    (
        SELECT count(*)
        FROM (
            SELECT ${key}
            FROM ${mart}
            /* incremental */ WHERE (${key}) IN (
                SELECT ${key}
                FROM ${touched}
            ) /* end */
            GROUP BY ${key}
            HAVING count(*) > 1
        ) AS repeated
    ) AS repeated_key
