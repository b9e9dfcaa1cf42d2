-- Rows that are current no more. Write what must hold for your figures: a check selects what is wrong. What stands
-- between the two marks keeps it to the rows that a drop has touched.
SELECT ${key_of_mart}
FROM ${mart} AS m
/* incremental */
INNER JOIN touched_${mart} AS t
    ON ${same_key_of_mart}
/* end */
WHERE NOT EXISTS (
    SELECT 1
    FROM history_${feed} AS h
    WHERE ${same_key_of_history}
        AND h.is_current
)
