CREATE OR REPLACE TEMP TABLE ${into} AS
SELECT
    _line,
    CASE WHEN well_quoted THEN 'ragged_row' ELSE 'malformed_quotes' END AS rule,
    CASE
        WHEN well_quoted THEN concat('the row has ', len(cells), ' cells where the header names ', ${width}, ' columns')
        ELSE 'text stands behind the closing quote of a cell; double the quotes inside a quoted cell'
    END AS reason,
    raw
FROM ${split}
WHERE NOT well_quoted
    OR NOT ${shape}
