-- The account's version true at the moment, with the file and line behind it.
SELECT
    a.customer_id,
    a.balance,
    a.account_type AS type,
    a.valid_from,
    a.valid_to,
    a.drop_id,
    a.line,
    d.name AS file
FROM history_account AS a
LEFT JOIN drop_ledger AS d
    ON d.drop_id = a.drop_id
WHERE a.account_id = CAST(:account_id AS BIGINT)
    AND a.valid_from <= :moment
    AND (a.valid_to IS NULL OR a.valid_to > :moment)
