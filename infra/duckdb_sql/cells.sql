-- The records that have the header's shape; empty cells behind the last are let pass, as spreadsheets add it.
SELECT
    _line,
    ${cells}
FROM (
    ${split}
) AS split
WHERE well_quoted
    AND (len(cells) = ${width} OR (len(cells) > ${width} AND trim(array_to_string(cells[${width} + 1:], '')) = ''))
