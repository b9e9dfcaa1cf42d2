-- The parts of the balance, each with the rate that it earns: one by whole_balance, one for each tier by marginal.
SELECT
    s.amount,
    s.tier_from,
    s.tier_rate,
    s.loan_bonus,
    CAST(s.tier_rate + s.loan_bonus AS DECIMAL(9, 6)) AS rate,
    CAST(s.amount AS DECIMAL(24, 2)) * CAST(s.tier_rate + s.loan_bonus AS DECIMAL(9, 6)) AS interest
FROM (
    SELECT
        CASE
            WHEN t.method = 'marginal' THEN coalesce(r.next_min_balance, a.balance) - r.min_balance
            ELSE a.balance
        END AS amount,
        r.min_balance AS tier_from,
        r.rate AS tier_rate,
        CASE WHEN c.has_loan THEN r.loan_bonus ELSE CAST(0 AS DECIMAL(9, 6)) END AS loan_bonus
    FROM (
        SELECT
            e.min_balance,
            e.rate,
            e.loan_bonus,
            lead(e.min_balance) OVER (ORDER BY e.min_balance) AS next_min_balance
        FROM rate_card AS e
        CROSS JOIN account AS b
        WHERE e.min_balance <= b.balance
    ) AS r
    CROSS JOIN tier AS t
    CROSS JOIN account AS a
    CROSS JOIN customer AS c
    WHERE t.method = 'marginal'
        OR r.min_balance = t.min_balance
) AS s
ORDER BY s.tier_from
