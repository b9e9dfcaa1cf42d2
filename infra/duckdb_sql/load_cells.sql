-- The records that have the header's shape; one empty cell behind the last is let pass, as spreadsheets add it.
CREATE OR REPLACE TABLE ${into} AS
SELECT
    $$drop_id AS _drop_id,
    _line,
    ${record_cells},
    TRUE AS _accepted
FROM split_record
WHERE well_quoted
    AND (len(cells) = ${width} OR (len(cells) = ${width} + 1 AND trim(cells[-1]) = ''))
ORDER BY _line
