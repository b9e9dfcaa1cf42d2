-- Sessions, exits and the average seconds of an exit, by the price tier that the catalog has the activity under now.
-- Halves are rounded up in integers, as a decimal by a decimal is no decimal in each engine.
WITH used AS (
    SELECT
        coalesce(c.price_tier, 'unknown') AS price_tier,
        CASE WHEN u.event_type = 'enter' THEN 1 ELSE 0 END AS entered,
        CASE WHEN u.event_type = 'exit' THEN 1 ELSE 0 END AS exited,
        CASE WHEN u.event_type = 'exit' THEN u.duration_seconds END AS seconds
    FROM history_usage AS u
    LEFT JOIN history_catalog AS c
        ON c.activity_id = u.activity_id
        AND c.is_current
),
counted AS (
    SELECT
        price_tier,
        CAST(sum(entered) AS BIGINT) AS sessions,
        CAST(sum(exited) AS BIGINT) AS exits,
        CAST(CAST(sum(seconds) AS DECIMAL(18, 3)) * 1000 AS BIGINT) + 5 * count(seconds) AS hundredths,
        nullif(10 * count(seconds), 0) AS by_ten
    FROM used
    /* incremental */ WHERE price_tier IN (SELECT price_tier FROM touched_q2_price_tier_engagement) /* end */
    GROUP BY price_tier
)
SELECT
    price_tier,
    sessions,
    exits,
    CAST(
        CAST(CAST(hundredths - hundredths % by_ten AS DOUBLE) / CAST(by_ten AS DOUBLE) AS BIGINT)
        * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(12, 2)
    ) AS average_seconds
FROM counted
