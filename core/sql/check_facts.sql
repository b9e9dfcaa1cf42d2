-- The facts of the changed keys, held against what must be true of any.
SELECT
    count(*) - ${keys} AS one_fact_a_key,
    count(CASE WHEN h.valid_to IS NOT NULL OR NOT h.is_current THEN 1 END) AS fact_has_no_end
FROM ${history} AS h
/* incremental */ WHERE EXISTS (
    SELECT 1
    FROM ${changed} AS o
    WHERE ${same_key}
) /* end */
