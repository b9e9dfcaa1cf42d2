WITH counted AS (
    SELECT
        event_id,
        1 AS times
    FROM history_event
    /* incremental */ WHERE event_id IN (SELECT event_id FROM touched_activity_event) /* end */
    UNION ALL
    SELECT
        event_id,
        -1
    FROM activity_event
    /* incremental */ WHERE event_id IN (SELECT event_id FROM touched_activity_event) /* end */
)
SELECT event_id
FROM counted
GROUP BY event_id
HAVING sum(times) <> 0
