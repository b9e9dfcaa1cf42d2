-- Customers who changed, and those who had or now have a touched account.
SELECT customer_id
FROM changed_customer
UNION
SELECT customer_id
FROM before_account_summary
UNION
SELECT s.customer_id
FROM account_summary AS s
/* incremental */ INNER JOIN touched_account_summary AS t ON t.account_id = s.account_id /* end */
