-- Valid rows that share key and effective time: alike, they count once; different, all of them are refused. Deletions are
-- alike whatever else they hold.
WITH repeated AS (
    SELECT
        ${key},
        _effective_at
    FROM _dl_parsed
    WHERE _valid
    GROUP BY ${key}, _effective_at
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
        AND h._effective_at = o._effective_at
    WHERE o._valid
),
counted AS (
    SELECT
        *,
        sum(CASE WHEN _duplicate THEN 0 ELSE 1 END) OVER (PARTITION BY ${key}, _effective_at) AS _spellings
    FROM numbered
)
SELECT
    _line,
    _duplicate,
    ${first_key} AS column_name,
    'conflicting_key' AS rule,
    concat(
        'this key stands in the file with ', CAST(_spellings AS STRING),
        ' different sets of values for one effective time; none is picked at random'
    ) AS reason
FROM counted
WHERE _duplicate
    OR _spellings > 1
