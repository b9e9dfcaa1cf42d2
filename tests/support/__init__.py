"""What tests share: ledgers, models, made-up files, and real processes and servers to run against."""
