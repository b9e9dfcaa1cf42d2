MODEL (
    name lending.account_summary,
    kind INCREMENTAL_BY_UNIQUE_KEY (unique_key account_id),
    start '2025-10-30',
    cron '@daily'
);

-- What a run has changed has a later beginning than the interval before, which ended when that was run.
WITH rated AS (
    SELECT
        a.customer_id,
        a.account_id,
        a.balance,
        CAST(
            CASE WHEN a.balance < 10000 THEN 0.01 WHEN a.balance < 20000 THEN 0.015 ELSE 0.02 END
            + CASE WHEN c.has_loan THEN 0.005 ELSE 0 END
            AS DECIMAL(9, 6)
        ) AS interest_rate
    FROM lending.accounts AS a
    INNER JOIN lending.customers AS c ON c.customer_id = a.customer_id
    WHERE a.valid_to IS NULL
        AND c.valid_to IS NULL
        AND a.account_type = 'Savings'
        AND greatest(a.valid_from, c.valid_from) > @start_ts
), earned AS (
    SELECT
        customer_id,
        account_id,
        balance,
        interest_rate,
        CAST(round(CAST(balance AS DECIMAL(28, 2)) * interest_rate, 2) AS DECIMAL(18, 2)) AS annual_interest
    FROM rated
)
SELECT
    customer_id,
    account_id,
    balance AS original_balance,
    interest_rate,
    annual_interest,
    CAST(balance + annual_interest AS DECIMAL(18, 2)) AS new_balance
FROM earned;

DELETE FROM @this_model
WHERE account_id IN (
    SELECT account_id
    FROM lending.accounts
    WHERE valid_to IS NULL
        AND account_type <> 'Savings'
)
