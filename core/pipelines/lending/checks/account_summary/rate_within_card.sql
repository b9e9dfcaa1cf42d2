WITH bounds AS (
    SELECT
        min(r.rate) AS lowest,
        max(r.rate + r.loan_bonus) AS highest
    FROM history_rate AS r
    CROSS JOIN mart_moment AS m
    WHERE r.valid_from <= m.moment
        AND (r.valid_to IS NULL OR r.valid_to > m.moment)
)
SELECT m.account_id
FROM account_summary AS m
/* incremental */ INNER JOIN touched_account_summary AS t ON t.account_id = m.account_id /* end */
CROSS JOIN bounds
WHERE m.interest_rate < bounds.lowest
    OR m.interest_rate > bounds.highest
    OR bounds.lowest IS NULL
