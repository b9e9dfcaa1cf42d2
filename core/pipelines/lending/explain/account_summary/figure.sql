-- The interest of the account in exact decimals, from its slices; or why there is none.
SELECT
    CASE
        WHEN c.drop_id IS NULL
            THEN concat('no figure: customer ', CAST(a.customer_id AS STRING), ' is unknown at this moment')
        WHEN a.type <> 'Savings'
            THEN concat('no figure: only Savings accounts earn interest, this is a ', a.type, ' account')
        WHEN t.method IS NULL THEN 'no tier of the rate card in force covers the balance'
    END AS no_figure,
    t.method,
    a.customer_id,
    a.balance AS original_balance,
    l.rate AS interest_rate,
    e.exact,
    CAST(round(e.exact, 2) AS DECIMAL(18, 2)) AS annual_interest,
    CAST(a.balance + round(e.exact, 2) AS DECIMAL(18, 2)) AS new_balance
FROM account AS a
CROSS JOIN customer AS c
LEFT JOIN tier AS t
    ON TRUE
LEFT JOIN slices AS l
    ON l.tier_from = t.min_balance
CROSS JOIN (SELECT sum(interest) AS exact FROM slices) AS e
