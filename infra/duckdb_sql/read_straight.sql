read_csv(
    ${paths},
    columns = ${columns},
    header = FALSE,
    skip = 1,
    auto_detect = FALSE,
    compression = 'none',
    delim = ${delimiter},
    quote = '"',
    escape = '"',
    ignore_errors = TRUE${options}
)
