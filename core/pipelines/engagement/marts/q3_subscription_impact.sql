-- What users left in the 7 days before the day on which they subscribed, and in the 7 days after it, by month and
-- platform. Halves are rounded up in integers, as a decimal by a decimal is no decimal in each engine.
WITH subscriber AS (
    SELECT
        substr(CAST(subscription_date AS STRING), 1, 7) AS month,
        platform,
        user_id,
        min(valid_from) AS subscribed_at
    FROM history_subscription
    GROUP BY
        substr(CAST(subscription_date AS STRING), 1, 7),
        platform,
        user_id
),
wanted AS (
    SELECT s.*
    FROM subscriber AS s
    /* incremental */
    INNER JOIN touched_q3_subscription_impact AS t
        ON t.month = s.month
            AND t.platform = s.platform
    /* end */
),
used AS (
    SELECT
        w.month,
        w.platform,
        w.user_id,
        sum(CASE WHEN u.valid_from < w.subscribed_at THEN 1 ELSE 0 END) AS used_before,
        sum(CASE WHEN u.valid_from >= w.subscribed_at + INTERVAL '1' DAY THEN 1 ELSE 0 END) AS used_after
    FROM wanted AS w
    LEFT JOIN history_usage AS u
        ON u.user_id = w.user_id
            AND u.event_type = 'exit'
            AND u.valid_from >= w.subscribed_at - INTERVAL '7' DAY
            AND u.valid_from < w.subscribed_at + INTERVAL '8' DAY
    GROUP BY
        w.month,
        w.platform,
        w.user_id
),
counted AS (
    SELECT
        month,
        platform,
        count(*) AS subscribers,
        CAST(sum(used_before) AS BIGINT) AS activities_before,
        CAST(sum(used_after) AS BIGINT) AS activities_after
    FROM used
    GROUP BY
        month,
        platform
),
whole AS (
    SELECT
        *,
        200 * activities_before + subscribers AS before_hundredths,
        200 * activities_after + subscribers AS after_hundredths,
        nullif(2 * subscribers, 0) AS by_twice
    FROM counted
)
SELECT
    month,
    platform,
    subscribers,
    activities_before,
    activities_after,
    CAST(
        CAST(CAST(before_hundredths - before_hundredths % by_twice AS DOUBLE) / CAST(by_twice AS DOUBLE) AS BIGINT)
        * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(12, 2)
    ) AS before_per_user,
    CAST(
        CAST(CAST(after_hundredths - after_hundredths % by_twice AS DOUBLE) / CAST(by_twice AS DOUBLE) AS BIGINT)
        * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(12, 2)
    ) AS after_per_user
FROM whole
