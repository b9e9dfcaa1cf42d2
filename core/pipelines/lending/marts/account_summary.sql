-- Interest of each savings account: the tier's rate by balance, with the loan bonus where the customer has
-- a loan; annual_interest is rounded half up to the cent. The two methods are apart, since a card has one of
-- them and the engine then passes over the other. As both read accounts and tiers by one name, these are gathered once,
-- and first: an engine that sees both in one join expects it to leave few rows, and begins with it, for all accounts.
WITH savings AS (
    SELECT *
    FROM int_savings_account_only
    /* incremental */ WHERE account_id IN (SELECT account_id FROM touched_account_summary) /* end */
),
tier AS (
    SELECT *
    FROM int_rate_tier
),
earned AS (
    SELECT
        s.customer_id,
        s.account_id,
        s.balance AS original_balance,
        CASE WHEN s.has_loan THEN r.rate_with_loan ELSE r.rate END AS interest_rate,
        -- The same product twice: where it fits 18 digits the engine is several times faster.
        CASE
            WHEN s.balance < 10000000000 AND r.rate_with_loan < 1 THEN CAST(
                round(
                    CAST(s.balance AS DECIMAL(12, 2))
                    * CAST(CASE WHEN s.has_loan THEN r.rate_with_loan ELSE r.rate END AS DECIMAL(6, 6)),
                    2
                ) AS DECIMAL(18, 2)
            )
            ELSE CAST(
                round(
                    CAST(s.balance AS DECIMAL(28, 2)) * CASE WHEN s.has_loan THEN r.rate_with_loan ELSE r.rate END,
                    2
                ) AS DECIMAL(18, 2)
            )
        END AS annual_interest
    FROM savings AS s
    INNER JOIN tier AS r
        ON s.balance >= r.min_balance
        AND (r.next_min_balance IS NULL OR s.balance < r.next_min_balance)
    WHERE r.method = 'whole_balance'
    UNION ALL
    SELECT
        s.customer_id,
        s.account_id,
        s.balance AS original_balance,
        CASE WHEN s.has_loan THEN r.rate_with_loan ELSE r.rate END AS interest_rate,
        CAST(
            round(
                CASE WHEN s.has_loan THEN r.interest_below_with_loan ELSE r.interest_below END
                + CAST(s.balance - r.min_balance AS DECIMAL(28, 2))
                * CASE WHEN s.has_loan THEN r.rate_with_loan ELSE r.rate END,
                2
            ) AS DECIMAL(18, 2)
        ) AS annual_interest
    FROM savings AS s
    INNER JOIN tier AS r
        ON s.balance >= r.min_balance
        AND (r.next_min_balance IS NULL OR s.balance < r.next_min_balance)
    WHERE r.method = 'marginal'
)
SELECT
    customer_id,
    account_id,
    original_balance,
    interest_rate,
    annual_interest,
    CAST(original_balance + annual_interest AS DECIMAL(18, 2)) AS new_balance
FROM earned
