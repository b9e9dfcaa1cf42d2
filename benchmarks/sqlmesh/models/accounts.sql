MODEL (
    name lending.accounts,
    kind SCD_TYPE_2_BY_COLUMN (
        unique_key account_id,
        columns [customer_id, balance, account_type],
        execution_time_as_valid_from true
    ),
    start '2025-10-30',
    cron '@daily'
);

SELECT account_id, customer_id, balance, account_type
FROM received.accounts
