-- The records that have the header's shape; one empty cell behind the last is let pass, as spreadsheets add it.
CREATE OR REPLACE TEMP TABLE ${into} AS
SELECT
    _line,
    ${record_cells}
FROM split_record
WHERE well_quoted
    AND (len(cells) = ${width} OR (len(cells) = ${width} + 1 AND trim(cells[-1]) = ''))
ORDER BY _line
