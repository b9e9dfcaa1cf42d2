-- A rate is right if it lies no more than half a hundredth above what it is rounded from, and less than half below it.
SELECT
    m.month,
    m.platform
FROM q3_subscription_impact AS m
/* incremental */
INNER JOIN touched_q3_subscription_impact AS t
    ON t.month = m.month
        AND t.platform = m.platform
/* end */
WHERE NOT coalesce(
        m.subscribers > 0
        AND m.activities_before >= 0
        AND m.activities_after >= 0
        AND CAST(m.before_per_user * 200 AS BIGINT) * m.subscribers <= 200 * m.activities_before + m.subscribers
        AND (CAST(m.before_per_user * 200 AS BIGINT) + 2) * m.subscribers > 200 * m.activities_before + m.subscribers
        AND CAST(m.after_per_user * 200 AS BIGINT) * m.subscribers <= 200 * m.activities_after + m.subscribers
        AND (CAST(m.after_per_user * 200 AS BIGINT) + 2) * m.subscribers > 200 * m.activities_after + m.subscribers,
        FALSE
    )
