-- Lines joined into records where a quoted cell spans several. Each line that holds a quote maps "outside a
-- quoted cell" and "inside one" to what holds behind it; the maps are composed by windows: the last line that
-- leads to one state from both, then the parity of the lines that swap the two. A comment leads from outside to outside.
CREATE OR REPLACE TEMP TABLE ${into} AS
WITH mapped AS (
    SELECT
        _line,
        text,
        NOT ${is_comment} AND contains(text, ${quote}) AND regexp_full_match(text, ${opens}) AS from_outside,
        NOT contains(text, ${quote}) OR regexp_full_match(text, ${stays}) AS from_inside
    FROM _dl_line
    WHERE _line >= ${rows_begin}
),
anchored AS (
    SELECT
        *,
        sum(CASE WHEN from_outside = from_inside THEN 1 ELSE 0 END) OVER (ORDER BY _line) AS anchor
    FROM mapped
),
walked AS (
    SELECT
        _line,
        text,
        (
            coalesce(max(CASE WHEN from_outside AND from_inside THEN 1 ELSE 0 END) OVER same_anchor, 0)
            + sum(CASE WHEN from_outside AND NOT from_inside THEN 1 ELSE 0 END) OVER same_anchor
        ) % 2 = 1 AS inside_behind
    FROM anchored
    WINDOW same_anchor AS (PARTITION BY anchor ORDER BY _line)
),
begun AS (
    SELECT
        *,
        max(CASE WHEN NOT coalesce(inside_before, FALSE) THEN _line END) OVER (ORDER BY _line) AS first_line
    FROM (
        SELECT
            *,
            lag(inside_behind) OVER (ORDER BY _line) AS inside_before
        FROM walked
    )
)
SELECT
    first_line AS _line,
    string_agg(text, chr(10) ORDER BY _line) AS raw,
    last(inside_behind ORDER BY _line) AS unclosed
FROM begun
WHERE NOT (_line = first_line AND ${is_comment})
GROUP BY first_line
HAVING trim(string_agg(text, '')) <> ''
