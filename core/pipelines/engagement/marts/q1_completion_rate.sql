-- The share of exits at the end of the activity, by the theme that the catalog has it under now. Halves are rounded up
-- in integers, as a decimal by a decimal is no decimal in each engine.
WITH left_activity AS (
    SELECT
        coalesce(c.theme, 'unknown') AS theme,
        CASE WHEN u.completed THEN 1 ELSE 0 END AS completed
    FROM history_usage AS u
    LEFT JOIN history_catalog AS c
        ON c.activity_id = u.activity_id
        AND c.is_current
    WHERE u.event_type = 'exit'
),
counted AS (
    SELECT
        theme,
        count(*) AS exits,
        CAST(sum(completed) AS BIGINT) AS completed_exits
    FROM left_activity
    /* incremental */ WHERE theme IN (SELECT theme FROM touched_q1_completion_rate) /* end */
    GROUP BY theme
),
whole AS (
    SELECT
        *,
        20000 * completed_exits + exits AS ten_thousandths,
        nullif(2 * exits, 0) AS by_twice
    FROM counted
)
SELECT
    theme,
    exits,
    completed_exits,
    CAST(
        CAST(CAST(ten_thousandths - ten_thousandths % by_twice AS DOUBLE) / CAST(by_twice AS DOUBLE) AS BIGINT)
        * CAST(0.0001 AS DECIMAL(5, 4)) AS DECIMAL(5, 4)
    ) AS completion_rate
FROM whole
