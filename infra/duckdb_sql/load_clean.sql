-- The rows of a file in which each line is a row; see _with_lines for their numbers.
CREATE OR REPLACE TABLE ${into} AS
SELECT
    $$drop_id AS _drop_id,
    CAST(NULL AS BIGINT) AS _line,
    ${clean_cells},
    TRUE AS _accepted
FROM read_csv(
    $$path,
    columns = ${columns},
    header = FALSE,
    skip = 1,
    auto_detect = FALSE,
    delim = ${delimiter},
    quote = '"',
    escape = '"',
    ignore_errors = TRUE
)
