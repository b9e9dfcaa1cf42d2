-- Rows that are current no more. Write what must hold for your figures: a check selects what is wrong.
SELECT ${key_of_mart}
FROM ${mart} AS m
INNER JOIN touched_${mart} AS t
    ON ${same_key_of_mart}
WHERE NOT EXISTS (
    SELECT 1
    FROM history_${feed} AS h
    WHERE ${same_key_of_history}
        AND h.is_current
)
