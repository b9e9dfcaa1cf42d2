-- A file's lines with their numbers, blank ones included. The separator is a control character that no text
-- holds (intake refuses those that do), so that each line is one cell.
CREATE OR REPLACE TEMP TABLE ${into} AS
SELECT
    row_number() OVER () AS _line,
    coalesce(text, '') AS text
FROM read_csv(
    $$path,
    columns = {'text': 'VARCHAR'},
    header = FALSE,
    auto_detect = FALSE,
    delim = e'\x1f',
    quote = '',
    escape = '',
    strict_mode = FALSE,
    max_line_size = ${max_line_bytes}
)
