-- The months in which somebody subscribed or no longer did, and those in which somebody may have subscribed up to 7 days
-- before or behind usage that is new or gone: 15 days lie in two months at most, those of the first and of the last.
WITH touched_month AS (
    SELECT substr(CAST(subscription_date AS STRING), 1, 7) AS month
    FROM changed_subscription
    UNION
    SELECT substr(CAST(CAST(changed_from - INTERVAL '7' DAY AS DATE) AS STRING), 1, 7)
    FROM changed_usage
    UNION
    SELECT substr(CAST(CAST(changed_from + INTERVAL '7' DAY AS DATE) AS STRING), 1, 7)
    FROM changed_usage
)
SELECT
    t.month,
    s.platform
FROM touched_month AS t
INNER JOIN history_subscription AS s
    ON substr(CAST(s.subscription_date AS STRING), 1, 7) = t.month
UNION
SELECT
    t.month,
    m.platform
FROM touched_month AS t
INNER JOIN q3_subscription_impact AS m
    ON m.month = t.month
