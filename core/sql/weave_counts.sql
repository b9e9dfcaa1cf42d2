-- Versions opened: woven and not there before. Versions closed: there before, and now gone or ending earlier.
SELECT
    (
        SELECT count(*)
        FROM woven AS o
        WHERE NOT EXISTS (
            SELECT 1
            FROM superseded AS h
            WHERE ${same_key}
                AND h.valid_from = o.valid_from
                AND NOT ${differs}
        )
    ) AS opened,
    (
        SELECT count(*)
        FROM superseded AS h
        WHERE NOT EXISTS (
            SELECT 1
            FROM woven AS o
            WHERE ${same_key}
                AND h.valid_from = o.valid_from
                AND NOT ${differs}
                AND (o.valid_to IS NULL OR o.valid_to >= h.valid_to)
        )
    ) AS closed
