SELECT 1 AS failing
FROM (
    SELECT
        (SELECT count(*) FROM history_usage WHERE event_type = 'exit') AS of_history,
        (SELECT sum(exits) FROM q1_completion_rate) AS of_mart
) AS counted
WHERE of_history <> coalesce(of_mart, 0)
