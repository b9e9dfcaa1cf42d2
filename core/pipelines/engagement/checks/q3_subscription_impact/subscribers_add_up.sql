WITH counted AS (
    SELECT DISTINCT
        substr(CAST(subscription_date AS STRING), 1, 7) AS month,
        platform,
        user_id,
        1 AS subscribers
    FROM history_subscription
    UNION ALL
    SELECT
        month,
        platform,
        NULL,
        -subscribers
    FROM q3_subscription_impact
)
SELECT
    month,
    platform
FROM counted
GROUP BY
    month,
    platform
HAVING sum(subscribers) <> 0
