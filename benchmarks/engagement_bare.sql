-- The bare pass of the engine over files of events: it reads them, joins them with users and activities, and sums.
CREATE TABLE engagement_daily AS
WITH event AS (
    SELECT
        name,
        occurred_at,
        user_id,
        data,
        context
    FROM read_json(
        getvariable('events'),
        format = 'newline_delimited',
        columns = {
            event_id: 'VARCHAR',
            name: 'VARCHAR',
            occurred_at: 'TIMESTAMP',
            user_id: 'VARCHAR',
            child_id: 'VARCHAR',
            data: 'STRUCT(activity_id VARCHAR, duration DECIMAL(12, 3), completed BOOLEAN, collection_id VARCHAR)',
            context: 'STRUCT(os STRUCT("name" VARCHAR, "version" VARCHAR), app STRUCT("version" VARCHAR))'
        }
    )
    WHERE name = 'activity_exit'
)
SELECT
    CAST(e.occurred_at AS DATE) AS day,
    coalesce(u.country_code, 'unknown') AS country,
    coalesce(e.context.os.name, 'unknown') AS os_name,
    coalesce(e.context.os.version, 'unknown') AS os_version,
    coalesce(e.context.app.version, 'unknown') AS app_version,
    CASE
        WHEN u.user_id IS NULL THEN 'unknown'
        WHEN u.subscription_start_at <= e.occurred_at
            AND coalesce(u.subscription_expire_at > e.occurred_at, TRUE) THEN 'subscribed'
        WHEN u.trial_start_at <= e.occurred_at AND coalesce(u.trial_end_at > e.occurred_at, TRUE) THEN 'trial'
        WHEN u.subscription_start_at <= e.occurred_at OR u.trial_start_at <= e.occurred_at THEN 'lapsed'
        ELSE 'free'
    END AS subscription_status,
    coalesce(a.type, 'unknown') AS activity_type,
    coalesce(e.data.collection_id, 'unknown') AS collection,
    count(*) AS activities_played,
    count(*) FILTER (e.data.completed) AS activities_completed,
    CAST(coalesce(sum(e.data.duration), 0) AS DECIMAL(18, 3)) AS seconds_played,
    count(DISTINCT e.user_id) AS players
FROM event AS e
LEFT JOIN read_json(
    getvariable('users'),
    format = 'newline_delimited',
    columns = {
        user_id: 'VARCHAR',
        country_code: 'VARCHAR',
        trial_start_at: 'TIMESTAMP',
        trial_end_at: 'TIMESTAMP',
        subscription_start_at: 'TIMESTAMP',
        subscription_expire_at: 'TIMESTAMP'
    }
) AS u
    ON u.user_id = e.user_id
LEFT JOIN read_json(
    getvariable('activities'),
    format = 'newline_delimited',
    columns = {activity_id: 'VARCHAR', type: 'VARCHAR'}
) AS a
    ON a.activity_id = e.data.activity_id
GROUP BY ALL
