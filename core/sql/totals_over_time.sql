-- The newest totals of a mart that were kept, the last one first.
SELECT *
FROM (
    SELECT
        mart,
        place,
        drop_id,
        cause,
        row_count,
        total,
        moment,
        measured_at
    FROM mart_total
    WHERE mart = ${mart_name}
        AND measure = ${measure_name}
    ORDER BY place DESC
    LIMIT ${most}
) AS newest
