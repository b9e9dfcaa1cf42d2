-- A second way to the same figure, from the history tables alone: cents times millionths, in whole numbers,
-- rounded half up by adding a half and cutting off.
WITH tier AS (
    SELECT
        CAST(CAST(r.min_balance AS DECIMAL(28, 2)) * 100 AS DECIMAL(20, 0)) AS floor_cents,
        CAST(CAST(lead(r.min_balance) OVER (ORDER BY r.min_balance) AS DECIMAL(28, 2)) * 100 AS DECIMAL(20, 0))
            AS ceiling_cents,
        CAST(r.rate * 1000000 AS BIGINT) AS millionths,
        CAST(r.loan_bonus * 1000000 AS BIGINT) AS bonus_millionths,
        r.method
    FROM history_rate AS r
    CROSS JOIN mart_moment AS m
    WHERE r.valid_from <= m.moment
        AND (r.valid_to IS NULL OR r.valid_to > m.moment)
),
account AS (
    SELECT
        m.account_id,
        CAST(CAST(m.original_balance AS DECIMAL(28, 2)) * 100 AS DECIMAL(20, 0)) AS cents,
        CAST(CAST(m.annual_interest AS DECIMAL(28, 2)) * 100 AS DECIMAL(20, 0)) AS interest_cents,
        CAST(CAST(m.new_balance AS DECIMAL(28, 2)) * 100 AS DECIMAL(20, 0)) AS new_cents,
        c.has_loan
    FROM account_summary AS m
    INNER JOIN touched_account_summary AS t
        ON t.account_id = m.account_id
    LEFT JOIN history_customer AS c
        ON c.customer_id = m.customer_id
        AND c.is_current
),
slice AS (
    SELECT
        a.*,
        CASE
            WHEN r.method = 'marginal' THEN least(a.cents, coalesce(r.ceiling_cents, a.cents)) - r.floor_cents
            ELSE a.cents
        END AS slice_cents,
        r.millionths + CASE WHEN a.has_loan THEN r.bonus_millionths ELSE 0 END AS slice_millionths,
        r.method
    FROM account AS a
    LEFT JOIN tier AS r
        ON a.cents >= r.floor_cents
        AND (r.method = 'marginal' OR r.ceiling_cents IS NULL OR a.cents < r.ceiling_cents)
),
recomputed AS (
    SELECT
        account_id,
        cents,
        interest_cents,
        new_cents,
        CAST(slice_cents * slice_millionths AS DECIMAL(30, 0)) AS cent_millionths
    FROM slice
    WHERE method IS DISTINCT FROM 'marginal'
    UNION ALL
    SELECT
        account_id,
        cents,
        interest_cents,
        new_cents,
        CAST(sum(slice_cents * slice_millionths) AS DECIMAL(30, 0)) AS cent_millionths
    FROM slice
    WHERE method = 'marginal'
    GROUP BY account_id, cents, interest_cents, new_cents
)
SELECT account_id
FROM recomputed
WHERE interest_cents IS DISTINCT FROM floor(cent_millionths * CAST(0.000001 AS DECIMAL(7, 6)) + CAST(0.5 AS DECIMAL(2, 1)))
    OR new_cents IS DISTINCT FROM cents + interest_cents
