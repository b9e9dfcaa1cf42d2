-- The rate is right if it lies no more than half a ten-thousandth above the share, and less than half below it.
SELECT theme
FROM q1_completion_rate
WHERE NOT coalesce(
        exits > 0
        AND completed_exits >= 0
        AND completed_exits <= exits
        AND CAST(completion_rate * 20000 AS BIGINT) * exits <= 20000 * completed_exits + exits
        AND (CAST(completion_rate * 20000 AS BIGINT) + 2) * exits > 20000 * completed_exits + exits,
        FALSE
    )
