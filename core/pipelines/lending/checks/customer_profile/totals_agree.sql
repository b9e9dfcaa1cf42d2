WITH total AS (
    SELECT
        s.customer_id,
        count(*) AS savings_accounts,
        sum(s.new_balance - s.annual_interest) AS balance,
        sum(s.new_balance - s.original_balance) AS interest
    FROM account_summary AS s
    /* incremental */ INNER JOIN touched_customer_profile AS t ON t.customer_id = s.customer_id /* end */
    GROUP BY s.customer_id
)
SELECT p.customer_id
FROM customer_profile AS p
/* incremental */ INNER JOIN touched_customer_profile AS t ON t.customer_id = p.customer_id /* end */
LEFT JOIN total
    ON total.customer_id = p.customer_id
WHERE p.savings_accounts <> coalesce(total.savings_accounts, 0)
    OR p.total_savings_balance <> coalesce(total.balance, 0)
    OR p.total_annual_interest <> coalesce(total.interest, 0)
