-- The rows of a file: those that the engine read, and those that were read to the letter.
SELECT
    ${line} AS _line,
    ${cells}
FROM ${lines}
WHERE NOT blank
    AND raw IS NULL
UNION ALL
SELECT
    line AS _line,
    ${read_cells}
FROM ${read}
WHERE rule IS NULL
