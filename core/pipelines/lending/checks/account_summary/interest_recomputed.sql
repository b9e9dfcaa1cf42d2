-- A second way to the same figure, from the history tables alone, in whole cents and millionths: the interest is
-- right if interest x 1,000,000 is at most cents x millionths + 500,000 and one cent more would be above it.
-- Balances that fit 64 bits under a whole_balance card, which is nearly all, are done apart, since the engine is
-- several times faster there.
WITH tier AS (
    SELECT
        r.min_balance,
        lead(r.min_balance) OVER (ORDER BY r.min_balance) AS next_min_balance,
        CAST(r.rate * 1000000 AS BIGINT) AS millionths,
        CAST((r.rate + r.loan_bonus) * 1000000 AS BIGINT) AS millionths_with_loan,
        r.method
    FROM history_rate AS r
    CROSS JOIN mart_moment AS m
    WHERE r.valid_from <= m.moment
        AND (r.valid_to IS NULL OR r.valid_to > m.moment)
),
account AS (
    SELECT
        m.account_id,
        m.original_balance,
        m.annual_interest,
        m.new_balance,
        coalesce(c.has_loan, FALSE) AS has_loan
    FROM account_summary AS m
    LEFT JOIN history_customer AS c
        ON c.customer_id = m.customer_id
        AND c.is_current
    /* incremental */ WHERE m.account_id IN (SELECT account_id FROM touched_account_summary) /* end */
),
narrow AS (
    SELECT
        a.account_id,
        CAST(a.original_balance * 100 AS BIGINT) AS cents,
        CAST(a.annual_interest * 100 AS BIGINT) AS interest_cents,
        CAST(a.new_balance * 100 AS BIGINT) AS new_cents,
        CASE WHEN a.has_loan THEN r.millionths_with_loan ELSE r.millionths END AS millionths
    FROM account AS a
    INNER JOIN tier AS r
        ON a.original_balance >= r.min_balance
        AND (r.next_min_balance IS NULL OR a.original_balance < r.next_min_balance)
    WHERE r.method = 'whole_balance'
        AND a.original_balance < 1000000000
),
slice AS (
    SELECT
        a.account_id,
        CAST(CAST(a.original_balance AS DECIMAL(28, 2)) * 100 AS DECIMAL(20, 0)) AS cents,
        CAST(CAST(a.annual_interest AS DECIMAL(28, 2)) * 100 AS DECIMAL(20, 0)) AS interest_cents,
        CAST(CAST(a.new_balance AS DECIMAL(28, 2)) * 100 AS DECIMAL(20, 0)) AS new_cents,
        CAST(
            CASE
                WHEN r.method = 'marginal'
                    THEN least(a.original_balance, coalesce(r.next_min_balance, a.original_balance)) - r.min_balance
                ELSE a.original_balance
            END AS DECIMAL(28, 2)
        ) * CASE WHEN a.has_loan THEN r.millionths_with_loan ELSE r.millionths END AS balance_millionths
    FROM account AS a
    LEFT JOIN tier AS r
        ON a.original_balance >= r.min_balance
        AND (
            r.method = 'marginal'
            OR r.next_min_balance IS NULL
            OR a.original_balance < r.next_min_balance
        )
    WHERE r.method IS DISTINCT FROM 'whole_balance'
        OR a.original_balance >= 1000000000
),
wide AS (
    SELECT
        account_id,
        cents,
        interest_cents,
        new_cents,
        CAST(sum(balance_millionths) AS DECIMAL(34, 2)) * 100 AS cent_millionths
    FROM slice
    GROUP BY account_id, cents, interest_cents, new_cents
)
SELECT account_id
FROM narrow
WHERE NOT coalesce(
        interest_cents * 1000000 <= cents * millionths + 500000
        AND (interest_cents + 1) * 1000000 > cents * millionths + 500000
        AND new_cents = cents + interest_cents,
        FALSE
    )
UNION ALL
SELECT account_id
FROM wide
WHERE NOT coalesce(
        CAST(interest_cents AS DECIMAL(30, 0)) * 1000000 <= cent_millionths + 500000
        AND CAST(interest_cents + 1 AS DECIMAL(30, 0)) * 1000000 > cent_millionths + 500000
        AND new_cents = cents + interest_cents,
        FALSE
    )
