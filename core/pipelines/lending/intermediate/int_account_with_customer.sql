-- Each account as it stands at the mart's moment, beside its customer; accounts of unknown customers are absent.
SELECT
    a.account_id,
    a.customer_id,
    c.customer_name,
    c.has_loan,
    a.balance,
    a.account_type,
    a.drop_id AS account_drop_id,
    a.line AS account_line,
    c.drop_id AS customer_drop_id,
    c.line AS customer_line
FROM history_account AS a
INNER JOIN history_customer AS c
    ON c.customer_id = a.customer_id
WHERE a.is_current
    AND c.is_current
