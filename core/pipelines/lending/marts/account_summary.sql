-- Interest of each savings account: the tier's rate by balance, with the loan bonus where the customer has
-- a loan; annual_interest is rounded half up to the cent. The two methods are computed apart, since the
-- usual one needs no sums over the tiers beneath.
WITH rated AS (
    SELECT
        s.customer_id,
        s.account_id,
        s.balance AS original_balance,
        s.has_loan,
        CASE WHEN s.has_loan THEN r.rate_with_loan ELSE r.rate END AS interest_rate,
        r.method,
        r.min_balance,
        s.account_drop_id,
        s.customer_drop_id,
        r.drop_id AS rate_drop_id
    FROM int_savings_account_only AS s
    INNER JOIN int_rate_tier AS r
        ON s.balance >= r.min_balance
        AND (r.next_min_balance IS NULL OR s.balance < r.next_min_balance)
    WHERE EXISTS (
        SELECT 1
        FROM touched_account_summary AS t
        WHERE t.account_id = s.account_id
    )
),
earned AS (
    SELECT
        customer_id,
        account_id,
        original_balance,
        interest_rate,
        CAST(round(CAST(original_balance AS DECIMAL(28, 2)) * interest_rate, 2) AS DECIMAL(18, 2)) AS annual_interest,
        account_drop_id,
        customer_drop_id,
        rate_drop_id
    FROM rated
    WHERE method = 'whole_balance'
    UNION ALL
    SELECT
        w.customer_id,
        w.account_id,
        w.original_balance,
        w.interest_rate,
        CAST(
            round(
                CASE WHEN w.has_loan THEN r.interest_below_with_loan ELSE r.interest_below END
                + CAST(w.original_balance - w.min_balance AS DECIMAL(28, 2)) * w.interest_rate,
                2
            ) AS DECIMAL(18, 2)
        ) AS annual_interest,
        w.account_drop_id,
        w.customer_drop_id,
        w.rate_drop_id
    FROM rated AS w
    INNER JOIN int_rate_tier AS r
        ON r.min_balance = w.min_balance
    WHERE w.method = 'marginal'
)
SELECT
    customer_id,
    account_id,
    original_balance,
    interest_rate,
    annual_interest,
    CAST(original_balance + annual_interest AS DECIMAL(18, 2)) AS new_balance,
    account_drop_id,
    customer_drop_id,
    rate_drop_id
FROM earned
