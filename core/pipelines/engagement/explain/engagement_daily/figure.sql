-- The figures, from the events alone; or that there is none.
SELECT
    CASE WHEN count(*) = 0 THEN 'no activity was played there' END AS no_figure,
    count(*) AS activities_played,
    CAST(coalesce(sum(CASE WHEN completed THEN 1 ELSE 0 END), 0) AS BIGINT) AS activities_completed,
    CAST(coalesce(sum(seconds), 0) AS DECIMAL(18, 3)) AS seconds_played,
    count(DISTINCT user_id) AS players
FROM events
