read_csv(
    ${paths},
    columns = ${columns},
    header = FALSE,
    skip = ${skip},
    auto_detect = FALSE,
    compression = 'none',
    delim = ${delimiter},
    quote = ${quote},
    escape = ${quote},
    hive_partitioning = FALSE,
    ignore_errors = ${ignore_errors}${options}
)
