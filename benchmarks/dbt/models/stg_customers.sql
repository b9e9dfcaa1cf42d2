{{ config(materialized='table', database='staging') }}

select
    CustomerID as customer_id,
    Name as customer_name,
    case HasLoan when 'Yes' then true when 'No' then false when 'None' then false end as has_loan,
    cast(regexp_extract(filename, '_(\d{4}-\d{2}-\d{2})', 1) as timestamp) as as_of
from {{ source('landing', 'customers') }}
