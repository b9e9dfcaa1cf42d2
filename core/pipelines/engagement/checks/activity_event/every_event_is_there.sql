SELECT e.event_id
FROM history_event AS e
LEFT JOIN activity_event AS m
    ON m.event_id = e.event_id
WHERE m.event_id IS NULL
    /* incremental */ AND e.event_id IN (SELECT event_id FROM touched_activity_event) /* end */
UNION ALL
SELECT m.event_id
FROM activity_event AS m
LEFT JOIN history_event AS e
    ON e.event_id = m.event_id
WHERE e.event_id IS NULL
    /* incremental */ AND m.event_id IN (SELECT event_id FROM touched_activity_event) /* end */
