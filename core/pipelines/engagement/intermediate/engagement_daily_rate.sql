-- The rates of engagement_daily, rounded half up: in integers, as a decimal by a decimal is no decimal in each engine.
WITH whole AS (
    SELECT
        *,
        20000 * activities_completed + activities_played AS ten_thousandths,
        2 * activities_played AS by_twice,
        CAST(seconds_played * 1000 AS BIGINT) + 5 * activities_played AS hundredths,
        10 * activities_played AS by_ten
    FROM engagement_daily
)
SELECT
    day,
    country,
    os_name,
    os_version,
    app_version,
    subscription_status,
    activity_type,
    collection,
    activities_played,
    CAST(
        CAST(
            CAST(ten_thousandths - ten_thousandths % nullif(by_twice, 0) AS DOUBLE) / CAST(nullif(by_twice, 0) AS DOUBLE)
            AS BIGINT
        ) * CAST(0.0001 AS DECIMAL(5, 4)) AS DECIMAL(5, 4)
    ) AS completion_rate,
    CAST(
        CAST(CAST(hundredths - hundredths % nullif(by_ten, 0) AS DOUBLE) / CAST(nullif(by_ten, 0) AS DOUBLE) AS BIGINT)
        * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(12, 2)
    ) AS seconds_per_activity
FROM whole
