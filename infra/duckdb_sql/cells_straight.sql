-- The cells of a file in which each line is a row; their lines are known once they are in a table.
SELECT
    CAST(NULL AS BIGINT) AS _line,
    ${cells}
FROM read_csv(
    ${path},
    columns = ${columns},
    header = FALSE,
    skip = 1,
    auto_detect = FALSE,
    delim = ${delimiter},
    quote = '"',
    escape = '"',
    ignore_errors = TRUE
)
