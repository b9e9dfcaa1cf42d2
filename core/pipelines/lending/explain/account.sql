-- The account's version true at a moment beside its customer's, with the file and line behind each.
SELECT
    a.account_id,
    a.customer_id,
    a.balance,
    a.account_type,
    a.valid_from AS account_valid_from,
    a.valid_to AS account_valid_to,
    a.drop_id AS account_drop_id,
    a.line AS account_line,
    da.name AS account_file,
    c.customer_name,
    c.has_loan,
    c.valid_from AS customer_valid_from,
    c.valid_to AS customer_valid_to,
    c.drop_id AS customer_drop_id,
    c.line AS customer_line,
    dc.name AS customer_file
FROM history_account AS a
LEFT JOIN history_customer AS c
    ON c.customer_id = a.customer_id
    AND c.valid_from <= :moment
    AND (c.valid_to IS NULL OR c.valid_to > :moment)
LEFT JOIN drop_ledger AS da
    ON da.drop_id = a.drop_id
LEFT JOIN drop_ledger AS dc
    ON dc.drop_id = c.drop_id
WHERE a.account_id = :account_id
    AND a.valid_from <= :moment
    AND (a.valid_to IS NULL OR a.valid_to > :moment)
