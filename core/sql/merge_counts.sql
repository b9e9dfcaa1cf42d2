-- Versions opened: merged and not there before. Versions closed: there before, and now gone or ending earlier.
SELECT
    (
        SELECT count(*)
        FROM _dl_merged AS o
        LEFT JOIN _dl_replaced AS h
            ON ${same_key}
            AND h.valid_from = o.valid_from
            AND NOT ${differs}
        WHERE h.valid_from IS NULL
    ) AS opened,
    (
        SELECT count(*)
        FROM _dl_replaced AS h
        LEFT JOIN _dl_merged AS o
            ON ${same_key}
            AND h.valid_from = o.valid_from
            AND NOT ${differs}
            AND (o.valid_to IS NULL OR o.valid_to >= h.valid_to)
        WHERE o.valid_from IS NULL
    ) AS closed
