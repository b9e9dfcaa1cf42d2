-- The lines behind the first of malformed records.
SELECT
    _line + place - 1 AS _line,
    _line AS first_line,
    raw
FROM (
    SELECT
        _line,
        unnest(string_split(raw, chr(10))) AS raw,
        generate_subscripts(string_split(raw, chr(10)), 1) AS place
    FROM ${malformed}
    WHERE rule = 'malformed_quotes'
        AND contains(raw, chr(10))
) AS line
WHERE place > 1
    AND trim(raw) <> ''
    AND NOT ${is_comment}
