SELECT 1 AS failing
FROM (
    SELECT
        (SELECT count(*) FROM history_usage WHERE event_type = 'enter') AS entered,
        (SELECT count(*) FROM history_usage WHERE event_type = 'exit') AS exited,
        (SELECT sum(sessions) FROM q2_price_tier_engagement) AS sessions,
        (SELECT sum(exits) FROM q2_price_tier_engagement) AS exits
) AS counted
WHERE entered <> coalesce(sessions, 0)
    OR exited <> coalesce(exits, 0)
