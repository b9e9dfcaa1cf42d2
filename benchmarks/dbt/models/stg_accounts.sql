{{ config(materialized='table', database='staging') }}

select
    AccountID as account_id,
    CustomerID as customer_id,
    Balance as balance,
    AccountType as account_type,
    cast(regexp_extract(filename, '_(\d{4}-\d{2}-\d{2})', 1) as timestamp) as as_of
from {{ source('landing', 'accounts') }}
