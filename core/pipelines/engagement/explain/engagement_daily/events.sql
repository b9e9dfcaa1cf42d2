-- The events up to the moment that the figure counts, each with the file and line behind it: from history, anew. At the
-- moment of the marts users and activities count whose extracts are of a later time; at another they are not known yet.
WITH known AS (
    SELECT
        CASE
            WHEN moment = :moment THEN CAST('9999-12-31 23:59:59.999999' AS TIMESTAMP)
            ELSE CAST(:moment AS TIMESTAMP)
        END AS until
    FROM mart_moment
),
played AS (
    SELECT *
    FROM history_event
    WHERE name = 'activity_exit'
        AND CAST(valid_from AS DATE) = CAST(:day AS DATE)
        AND valid_from <= :moment
        AND coalesce(os_name, 'unknown') = :os_name
        AND coalesce(os_version, 'unknown') = :os_version
        AND coalesce(app_version, 'unknown') = :app_version
        AND coalesce(collection_id, 'unknown') = :collection
),
version AS (
    SELECT
        user_id,
        country_code,
        trial_start_at,
        trial_end_at,
        subscription_start_at,
        subscription_expire_at,
        valid_from,
        lag(valid_from) OVER (PARTITION BY user_id ORDER BY valid_from) IS NULL AS is_first,
        valid_to
    FROM history_user
    CROSS JOIN known
    WHERE user_id IN (SELECT user_id FROM played)
        AND valid_from <= until
),
placed AS (
    SELECT
        e.event_id,
        e.valid_from AS occurred_at,
        e.user_id,
        e.activity_id,
        coalesce(e.duration, 0) AS seconds,
        coalesce(e.completed, FALSE) AS completed,
        u.valid_from AS user_since,
        a.valid_from AS activity_since,
        coalesce(u.country_code, 'unknown') AS country,
        coalesce(a.type, 'unknown') AS activity_type,
        CASE
            WHEN u.user_id IS NULL THEN 'unknown'
            WHEN e.valid_from >= u.subscription_start_at
                AND coalesce(e.valid_from < u.subscription_expire_at, TRUE) THEN 'subscribed'
            WHEN e.valid_from >= u.trial_start_at
                AND coalesce(e.valid_from < u.trial_end_at, TRUE) THEN 'trial'
            WHEN e.valid_from >= least(
                    coalesce(u.subscription_start_at, u.trial_start_at),
                    coalesce(u.trial_start_at, u.subscription_start_at)
                ) THEN 'lapsed'
            ELSE 'free'
        END AS subscription_status,
        e.drop_id,
        e.line
    FROM played AS e
    LEFT JOIN version AS u
        ON u.user_id = e.user_id
        AND (u.is_first OR u.valid_from <= e.valid_from)
        AND (u.valid_to IS NULL OR u.valid_to > e.valid_from)
    CROSS JOIN known AS k
    LEFT JOIN history_activity AS a
        ON a.activity_id = e.activity_id
        AND a.valid_from <= k.until
        AND (a.valid_to IS NULL OR a.valid_to > k.until)
)
SELECT
    p.event_id,
    p.occurred_at,
    p.user_id,
    coalesce(p.user_id, 'unknown') AS who,
    p.user_since,
    p.country,
    p.subscription_status,
    p.activity_id,
    coalesce(p.activity_id, 'unknown') AS activity,
    p.activity_since,
    p.seconds,
    p.completed,
    CASE WHEN p.completed THEN 'to the end' ELSE 'not to the end' END AS how,
    p.drop_id,
    p.line,
    d.name AS file
FROM placed AS p
LEFT JOIN drop_ledger AS d
    ON d.drop_id = p.drop_id
WHERE p.country = :country
    AND p.subscription_status = :subscription_status
    AND p.activity_type = :activity_type
ORDER BY
    p.occurred_at,
    p.event_id
