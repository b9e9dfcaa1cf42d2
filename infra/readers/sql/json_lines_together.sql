-- The lines of files, blank ones included, each with the place of its file. For the separator see lines.sql.
SELECT
    list_position(${paths}, filename) - 1 AS line,
    coalesce(text, '') AS raw
FROM read_csv(
    ${paths},
    columns = {'text': 'VARCHAR'},
    header = FALSE,
    auto_detect = FALSE,
    compression = 'none',
    delim = e'\x1f',
    quote = '',
    escape = '',
    strict_mode = FALSE,
    filename = TRUE
)
