-- The records of a file, a line each, with the text of each column's value. A line keeps its text where it is to be read
-- to the letter: it is no object, has a name twice or a value that is none of a column, or a number that would change.
CREATE OR REPLACE TEMP TABLE ${into} AS
SELECT
    line,
    CASE WHEN found IS NULL THEN trim(raw) = '' ELSE FALSE END AS blank,
    CASE
        WHEN found IS NULL THEN CASE WHEN trim(raw) <> '' THEN raw END
        WHEN ${usual} THEN NULL
        WHEN
            regexp_matches(raw, ${of_lines})
            OR regexp_matches(array_to_string(found, chr(31)), ${changes})
            ${repeated}
            ${changed}
            THEN raw
    END AS raw,
    ${cells}
FROM (
    SELECT
        *,
        CASE
            WHEN starts_with(raw, '{') OR starts_with(ltrim(raw), '{') THEN TRY(json_extract_string(raw, ${paths}))
        END AS found
    FROM (
        ${lines}
    ) AS line
) AS parsed
