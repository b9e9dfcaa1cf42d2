SELECT m.day
FROM engagement_daily AS m
/* incremental */
INNER JOIN touched_engagement_daily AS t
    ON t.day = m.day
        AND t.country = m.country
        AND t.os_name = m.os_name
        AND t.os_version = m.os_version
        AND t.app_version = m.app_version
        AND t.subscription_status = m.subscription_status
        AND t.activity_type = m.activity_type
        AND t.collection = m.collection
/* end */
WHERE m.activities_played < 1
    OR m.activities_completed < 0
    OR m.activities_completed > m.activities_played
    OR m.seconds_played < 0
    OR m.players < 0
    OR m.players > m.activities_played
