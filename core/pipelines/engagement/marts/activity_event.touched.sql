-- Events that are new or gone; those of a user from when the user's history changed, or all where that is the user's
-- first version, which holds before its time too; and those of an activity that changed.
SELECT event_id
FROM changed_event
UNION
SELECT e.event_id
FROM history_event AS e
INNER JOIN changed_user AS c
    ON c.user_id = e.user_id
WHERE e.valid_from >= c.changed_from
    OR NOT EXISTS (
        SELECT 1
        FROM history_user AS u
        WHERE u.user_id = c.user_id
            AND u.valid_from < c.changed_from
    )
UNION
SELECT e.event_id
FROM history_event AS e
INNER JOIN changed_activity AS c
    ON c.activity_id = e.activity_id
