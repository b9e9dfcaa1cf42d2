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
    hive_partitioning = FALSE,
    ignore_errors = ${ignore_errors}${options}
)
