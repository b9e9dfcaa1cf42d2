-- The records that have the header's shape; empty cells behind the last are let pass, as spreadsheets add it.
CREATE OR REPLACE TABLE ${into} AS
SELECT
    $$drop_id AS _drop_id,
    _line,
    ${record_cells},
    TRUE AS _accepted
FROM split_record
WHERE well_quoted
    AND (len(cells) = ${width} OR (len(cells) > ${width} AND trim(array_to_string(cells[${width} + 1:], '')) = ''))
ORDER BY _line
