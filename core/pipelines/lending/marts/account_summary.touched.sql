-- Accounts whose figure may change: their own version changed, their customer's did, or the card in force did.
SELECT account_id
FROM changed_account
UNION
SELECT a.account_id
FROM history_account AS a
INNER JOIN changed_customer AS c
    ON c.customer_id = a.customer_id
WHERE a.is_current
UNION
SELECT account_id
FROM history_account
WHERE is_current
    AND EXISTS (
        SELECT 1
        FROM mart_moment AS m
        INNER JOIN changed_rate AS r
            ON r.changed_from <= m.moment
        UNION ALL
        SELECT 1
        FROM mart_moment AS m
        INNER JOIN history_rate AS r
            ON (r.valid_from > least(:moment_before, m.moment) AND r.valid_from <= greatest(:moment_before, m.moment))
            OR (r.valid_to > least(:moment_before, m.moment) AND r.valid_to <= greatest(:moment_before, m.moment))
    )
