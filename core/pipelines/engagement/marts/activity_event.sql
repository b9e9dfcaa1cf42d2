-- Each event with its user as of its time, and its activity as it stands.
WITH happened AS (
    SELECT *
    FROM history_event
    /* incremental */ WHERE event_id IN (SELECT event_id FROM touched_activity_event) /* end */
),
first_seen AS (
    SELECT
        user_id,
        min(valid_from) AS seen_at
    FROM history_user
    /* incremental */ WHERE user_id IN (SELECT user_id FROM happened) /* end */
    GROUP BY user_id
),
asked AS (
    SELECT
        e.*,
        CASE WHEN f.seen_at > e.valid_from THEN f.seen_at ELSE e.valid_from END AS user_as_of
    FROM happened AS e
    LEFT JOIN first_seen AS f
        ON f.user_id = e.user_id
)
SELECT
    e.event_id,
    e.name,
    e.valid_from AS occurred_at,
    CAST(e.valid_from AS DATE) AS day,
    e.user_id,
    e.child_id,
    e.activity_id,
    a.name AS activity_name,
    coalesce(a.type, 'unknown') AS activity_type,
    a.subtype AS activity_subtype,
    coalesce(e.collection_id, 'unknown') AS collection,
    e.source,
    coalesce(u.country_code, 'unknown') AS country,
    CASE
        WHEN u.user_id IS NULL THEN 'unknown'
        WHEN u.subscription_start_at <= e.valid_from
            AND (u.subscription_expire_at IS NULL OR u.subscription_expire_at > e.valid_from) THEN 'subscribed'
        WHEN u.trial_start_at <= e.valid_from
            AND (u.trial_end_at IS NULL OR u.trial_end_at > e.valid_from) THEN 'trial'
        WHEN u.subscription_start_at <= e.valid_from OR u.trial_start_at <= e.valid_from THEN 'lapsed'
        ELSE 'free'
    END AS subscription_status,
    coalesce(e.os_name, 'unknown') AS os_name,
    coalesce(e.os_version, 'unknown') AS os_version,
    coalesce(e.app_version, 'unknown') AS app_version,
    coalesce(e.duration, CAST(0 AS DECIMAL(12, 3))) AS seconds,
    coalesce(e.completed, FALSE) AS completed
FROM asked AS e
LEFT JOIN history_user AS u
    ON u.user_id = e.user_id
    AND u.valid_from <= e.user_as_of
    AND (u.valid_to IS NULL OR u.valid_to > e.user_as_of)
LEFT JOIN history_activity AS a
    ON a.activity_id = e.activity_id
    AND a.is_current
