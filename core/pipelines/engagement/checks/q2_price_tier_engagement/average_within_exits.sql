WITH bounds AS (
    SELECT
        coalesce(c.price_tier, 'unknown') AS price_tier,
        min(u.duration_seconds) AS shortest,
        max(u.duration_seconds) AS longest
    FROM history_usage AS u
    LEFT JOIN history_catalog AS c
        ON c.activity_id = u.activity_id
        AND c.is_current
    WHERE u.event_type = 'exit'
    GROUP BY coalesce(c.price_tier, 'unknown')
)
SELECT m.price_tier
FROM q2_price_tier_engagement AS m
LEFT JOIN bounds AS b
    ON b.price_tier = m.price_tier
WHERE (m.average_seconds IS NULL) <> (b.shortest IS NULL)
    OR m.average_seconds < round(b.shortest, 2)
    OR m.average_seconds > round(b.longest, 2)
