-- Interest of each savings account: the tier's rate by balance, with the loan bonus where the customer has
-- a loan; annual_interest is rounded half up to the cent.
WITH rated AS (
    SELECT
        s.customer_id,
        s.account_id,
        s.balance AS original_balance,
        CASE WHEN s.has_loan THEN r.rate_with_loan ELSE r.rate END AS interest_rate,
        CASE WHEN s.has_loan THEN r.interest_below_with_loan ELSE r.interest_below END AS interest_below,
        CAST(s.balance - r.slice_from AS DECIMAL(28, 2)) AS slice,
        s.account_drop_id,
        s.customer_drop_id,
        r.drop_id AS rate_drop_id
    FROM touched_account_summary AS t
    INNER JOIN int_savings_account_only AS s
        ON s.account_id = t.account_id
    INNER JOIN int_rate_tier AS r
        ON s.balance >= r.min_balance
        AND (r.next_min_balance IS NULL OR s.balance < r.next_min_balance)
),
earned AS (
    SELECT
        *,
        CAST(round(interest_below + slice * interest_rate, 2) AS DECIMAL(18, 2)) AS annual_interest
    FROM rated
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
