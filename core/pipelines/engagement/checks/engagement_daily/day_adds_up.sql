-- Straight from history: whatever grain an event is in, the day's sums have it once.
WITH counted AS (
    SELECT
        CAST(valid_from AS DATE) AS day,
        1 AS played,
        CASE WHEN completed THEN 1 ELSE 0 END AS completed,
        coalesce(duration, 0) AS seconds
    FROM history_event
    WHERE name = 'activity_exit'
        /* incremental */ AND CAST(valid_from AS DATE) IN (SELECT day FROM touched_engagement_daily) /* end */
    UNION ALL
    SELECT
        day,
        -activities_played,
        -activities_completed,
        -seconds_played
    FROM engagement_daily
    /* incremental */ WHERE day IN (SELECT day FROM touched_engagement_daily) /* end */
)
SELECT day
FROM counted
GROUP BY day
HAVING sum(played) <> 0
    OR sum(completed) <> 0
    OR sum(seconds) <> 0
