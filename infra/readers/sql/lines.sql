-- A file's lines, blank ones included. The separator is a control character that no text holds (intake refuses
-- those that do), so that each line is one cell.
SELECT text AS raw
FROM read_csv(
    ${path},
    columns = {'text': 'VARCHAR'},
    header = FALSE,
    skip = ${skip},
    auto_detect = FALSE,
    compression = 'none',
    delim = e'\x1f',
    quote = '',
    escape = '',
    strict_mode = FALSE${options}
)
