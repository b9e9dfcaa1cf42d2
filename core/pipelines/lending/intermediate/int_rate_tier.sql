-- The rate card in force at the mart's moment, a row for each tier. interest_below is what a balance that
-- reaches the tier earns on the tiers beneath it, for cards whose method is marginal.
WITH card AS (
    SELECT r.*
    FROM history_rate AS r
    CROSS JOIN mart_moment AS m
    WHERE r.valid_from <= m.moment
        AND (r.valid_to IS NULL OR r.valid_to > m.moment)
),
tier AS (
    SELECT
        min_balance,
        lead(min_balance) OVER (ORDER BY min_balance) AS next_min_balance,
        rate,
        CAST(rate + loan_bonus AS DECIMAL(9, 6)) AS rate_with_loan,
        method,
        drop_id,
        line
    FROM card
),
slice AS (
    SELECT
        *,
        CAST(next_min_balance - min_balance AS DECIMAL(28, 2)) * rate AS interest,
        CAST(next_min_balance - min_balance AS DECIMAL(28, 2)) * rate_with_loan AS interest_with_loan
    FROM tier
)
SELECT
    min_balance,
    next_min_balance,
    rate,
    rate_with_loan,
    method,
    CAST(
        coalesce(sum(interest) OVER (ORDER BY min_balance ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
        AS DECIMAL(36, 8)
    ) AS interest_below,
    CAST(
        coalesce(sum(interest_with_loan) OVER (ORDER BY min_balance ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
        AS DECIMAL(36, 8)
    ) AS interest_below_with_loan,
    drop_id,
    line
FROM slice
