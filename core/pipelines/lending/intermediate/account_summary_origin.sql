-- Where each figure of account_summary comes from: the drop and line of the account's version, of the customer's version,
-- and of the tier that the balance reaches.
SELECT
    s.account_id,
    s.account_drop_id,
    s.account_line,
    s.customer_drop_id,
    s.customer_line,
    r.drop_id AS rate_drop_id,
    r.line AS rate_line
FROM int_savings_account_only AS s
INNER JOIN int_rate_tier AS r
    ON s.balance >= r.min_balance
    AND (r.next_min_balance IS NULL OR s.balance < r.next_min_balance)
