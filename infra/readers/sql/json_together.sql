-- The rows of files that were read together. A file is left out where the engine might read a line of it otherwise, or
-- where it lacks a column.
CREATE OR REPLACE TEMP TABLE ${into} AS
WITH plain AS (
    SELECT line
    FROM ${lines}
    GROUP BY line
    HAVING count(raw) = 0
        ${there}
),
numbered AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY line
            ORDER BY rowid
        ) AS _line
    FROM ${lines}
)
SELECT
    n.line AS _file,
    n._line,
    ${cells}
FROM numbered AS n
INNER JOIN plain AS p
    ON p.line = n.line
WHERE NOT n.blank
