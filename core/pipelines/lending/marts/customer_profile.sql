-- Each current customer with the totals of their savings accounts.
WITH total AS (
    SELECT
        s.customer_id,
        count(*) AS savings_accounts,
        sum(s.original_balance) AS total_savings_balance,
        sum(s.annual_interest) AS total_annual_interest
    FROM account_summary AS s
    /* incremental */ INNER JOIN touched_customer_profile AS t ON t.customer_id = s.customer_id /* end */
    GROUP BY s.customer_id
)
SELECT
    c.customer_id,
    c.customer_name,
    c.has_loan,
    coalesce(total.savings_accounts, 0) AS savings_accounts,
    CAST(coalesce(total.total_savings_balance, 0) AS DECIMAL(28, 2)) AS total_savings_balance,
    CAST(coalesce(total.total_annual_interest, 0) AS DECIMAL(28, 2)) AS total_annual_interest
FROM history_customer AS c
LEFT JOIN total
    ON total.customer_id = c.customer_id
WHERE c.is_current
    /* incremental */ AND c.customer_id IN (SELECT customer_id FROM touched_customer_profile) /* end */
