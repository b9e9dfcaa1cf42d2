-- The records that have the header's shape; empty cells behind the last are let pass, as spreadsheets add it.
SELECT
    _line,
    ${cells}
FROM (
    ${split}
) AS split
WHERE clear
    AND ${shape}
