-- The rate card in force at the mart's moment, a row for each tier. For a marginal card a balance earns
-- interest_below on the tiers beneath its own and rate on what lies above slice_from; for a whole_balance
-- card both are 0, and the one rate applies to all of it.
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
    CASE WHEN method = 'marginal' THEN min_balance ELSE CAST(0 AS DECIMAL(18, 2)) END AS slice_from,
    CAST(
        CASE
            WHEN method = 'marginal' THEN coalesce(
                sum(interest) OVER (ORDER BY min_balance ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
            ELSE 0
        END AS DECIMAL(36, 8)
    ) AS interest_below,
    CAST(
        CASE
            WHEN method = 'marginal' THEN coalesce(
                sum(interest_with_loan) OVER (ORDER BY min_balance ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
            ELSE 0
        END AS DECIMAL(36, 8)
    ) AS interest_below_with_loan,
    drop_id,
    line
FROM slice
