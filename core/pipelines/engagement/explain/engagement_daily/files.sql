-- What each file adds.
SELECT
    file,
    drop_id,
    count(*) AS events,
    CAST(sum(seconds) AS DECIMAL(18, 3)) AS seconds
FROM events
GROUP BY
    file,
    drop_id
ORDER BY
    file,
    drop_id
