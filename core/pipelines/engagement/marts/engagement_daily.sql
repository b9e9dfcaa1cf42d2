-- What was played each day, by who played it and where: sums over the events named activity_exit.
SELECT
    e.day,
    e.country,
    e.os_name,
    e.os_version,
    e.app_version,
    e.subscription_status,
    e.activity_type,
    e.collection,
    count(*) AS activities_played,
    CAST(sum(CASE WHEN e.completed THEN 1 ELSE 0 END) AS BIGINT) AS activities_completed,
    CAST(sum(e.seconds) AS DECIMAL(18, 3)) AS seconds_played,
    count(DISTINCT e.user_id) AS players
FROM activity_event AS e
/* incremental */
INNER JOIN touched_engagement_daily AS t
    ON t.day = e.day
        AND t.country = e.country
        AND t.os_name = e.os_name
        AND t.os_version = e.os_version
        AND t.app_version = e.app_version
        AND t.subscription_status = e.subscription_status
        AND t.activity_type = e.activity_type
        AND t.collection = e.collection
/* end */
WHERE e.name = 'activity_exit'
GROUP BY
    e.day,
    e.country,
    e.os_name,
    e.os_version,
    e.app_version,
    e.subscription_status,
    e.activity_type,
    e.collection
