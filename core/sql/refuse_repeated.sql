-- Valid rows that share key and effective time, or the key alone where it has one fact: alike, they count once; different,
-- all of them are refused. Deletions are alike whatever else they hold.
WITH repeated AS (
    SELECT
        ${key}${and_time}
    FROM _dl_parsed
    WHERE _valid
    GROUP BY ${key}${and_time}
    HAVING count(*) > 1
),
numbered AS (
    SELECT
        ${o_key},
        o._effective_at,
        o._line,
        row_number() OVER (PARTITION BY ${o_observed}, o._effective_at, o._absent ORDER BY o._line) > 1 AS _duplicate
    FROM _dl_parsed AS o
    INNER JOIN repeated AS h
        ON ${same_key}
        ${same_time}
    WHERE o._valid
),
counted AS (
    SELECT
        *,
        sum(CASE WHEN _duplicate THEN 0 ELSE 1 END) OVER (PARTITION BY ${key}${and_time}) AS _spellings
    FROM numbered
)
SELECT
    _line,
    _duplicate,
    ${first_key} AS column_name,
    ${rule} AS rule,
    concat(
        'this key stands in the file with ', CAST(_spellings AS STRING),
        ' different sets of values${for_one_time}; none is picked at random'
    ) AS reason
FROM counted
WHERE _duplicate
    OR _spellings > 1
