-- What a mart sums up to behind a change: what was kept last, with the touched rows as they are in place of those before.
SELECT
    (
        SELECT coalesce(max(place), 0) + 1
        FROM mart_total
    ) AS place,
    CAST(:drop_id AS STRING) AS drop_id,
    CAST(:cause AS STRING) AS cause,
    ${mart_name} AS mart,
    ${measure_name} AS measure,
    a.row_count /* incremental */ - b.row_count + coalesce(k.row_count, 0) /* end */ AS row_count,
    CAST(
        a.total /* incremental */ - b.total + CASE
            WHEN k.row_count IS NULL THEN CAST(0 AS DECIMAL(36, 10))
            ELSE CAST(k.total AS DECIMAL(36, 10))
        END /* end */ AS DECIMAL(38, 10)
    ) AS total,
    (
        SELECT moment
        FROM mart_moment
    ) AS moment,
    CAST(:measured_at AS TIMESTAMP) AS measured_at
FROM (
    SELECT
        count(*) AS row_count,
        ${total} AS total
    FROM ${mart} AS m
    /* incremental */ WHERE (${key}) IN (
        SELECT ${key}
        FROM ${touched}
    ) /* end */
) AS a
/* incremental */ CROSS JOIN (
    SELECT
        count(*) AS row_count,
        ${total} AS total
    FROM (
        SELECT DISTINCT ${key_and_measure} -- a row is there once for each time that its key was touched
        FROM ${before}
    ) AS m
) AS b
LEFT JOIN (
    SELECT
        row_count,
        total
    FROM mart_total
    WHERE mart = ${mart_name}
        AND measure = ${measure_name}
    ORDER BY place DESC
    LIMIT 1
) AS k
    ON b.row_count IS NOT NULL /* end */
