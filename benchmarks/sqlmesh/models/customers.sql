MODEL (
    name lending.customers,
    kind SCD_TYPE_2_BY_COLUMN (
        unique_key customer_id,
        columns [customer_name, has_loan],
        execution_time_as_valid_from true
    ),
    start '2025-10-30',
    cron '@daily'
);

SELECT customer_id, customer_name, has_loan
FROM received.customers
