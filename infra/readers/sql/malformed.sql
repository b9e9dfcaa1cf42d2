CREATE OR REPLACE TEMP TABLE ${into} AS
SELECT
    _line,
    CASE WHEN clear THEN 'ragged_row' ELSE 'malformed_quotes' END AS rule,
    CASE
        WHEN clear THEN concat('the row has ', len(cells), ' cells where the header names ', ${width}, ' columns')
        WHEN well_quoted THEN concat(
            'a quote opens within a cell, and another stands within a later one: a separator may be lost before the ',
            'first; write it, or quote both cells and double the quotes inside'
        )
        ELSE 'text stands behind the closing quote of a cell; double the quotes inside a quoted cell'
    END AS reason,
    raw
FROM ${split}
WHERE NOT clear
    OR NOT ${shape}
