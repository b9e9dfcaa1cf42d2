-- The grains in which an event stands that was computed anew, and those in which it stood before.
SELECT
    e.day,
    e.country,
    e.os_name,
    e.os_version,
    e.app_version,
    e.subscription_status,
    e.activity_type,
    e.collection
FROM activity_event AS e
/* incremental */ INNER JOIN touched_activity_event AS t ON t.event_id = e.event_id /* end */
WHERE e.name = 'activity_exit'
UNION
SELECT
    day,
    country,
    os_name,
    os_version,
    app_version,
    subscription_status,
    activity_type,
    collection
FROM before_activity_event
WHERE name = 'activity_exit'
