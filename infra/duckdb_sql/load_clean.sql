-- The rows of a file in which each line is a row: the line is the row's place behind the header.
CREATE OR REPLACE TEMP TABLE ${into} AS
SELECT
    row_number() OVER () + 1 AS _line,
    ${clean_cells}
FROM read_csv(
    $$path,
    columns = ${columns},
    header = FALSE,
    skip = 1,
    auto_detect = FALSE,
    delim = ${delimiter},
    quote = '"',
    escape = '"',
    ignore_errors = TRUE,
    max_line_size = ${max_line_bytes}
)
