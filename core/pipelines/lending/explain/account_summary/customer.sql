-- Its customer's version true at the moment, with the file and line behind it; NULL where the customer is unknown.
SELECT
    a.customer_id,
    c.customer_name AS name,
    c.has_loan,
    CASE WHEN c.has_loan THEN 'has a loan' ELSE 'has no loan' END AS loan,
    c.valid_from,
    c.valid_to,
    c.drop_id,
    c.line,
    d.name AS file
FROM account AS a
LEFT JOIN history_customer AS c
    ON c.customer_id = a.customer_id
    AND c.valid_from <= :moment
    AND (c.valid_to IS NULL OR c.valid_to > :moment)
LEFT JOIN drop_ledger AS d
    ON d.drop_id = c.drop_id
