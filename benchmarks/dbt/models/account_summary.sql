{{
    config(
        materialized='incremental',
        unique_key='account_id',
        incremental_strategy='delete+insert',
        post_hook="delete from {{ this }} where account_id in (
            select account_id from {{ ref('accounts') }} where dbt_valid_to is null and account_type <> 'Savings')",
    )
}}

with rated as (
    select
        a.customer_id,
        a.account_id,
        a.balance,
        cast(
            case when a.balance < 10000 then 0.01 when a.balance < 20000 then 0.015 else 0.02 end
            + case when c.has_loan then 0.005 else 0 end
            as decimal(9, 6)
        ) as interest_rate,
        greatest(a.dbt_valid_from, c.dbt_valid_from) as as_of
    from {{ ref('accounts') }} as a
    inner join {{ ref('customers') }} as c on c.customer_id = a.customer_id
    where a.dbt_valid_to is null
        and c.dbt_valid_to is null
        and a.account_type = 'Savings'
        {% if is_incremental() %}
        and greatest(a.dbt_valid_from, c.dbt_valid_from) > (select max(as_of) from {{ this }})
        {% endif %}
),
earned as (
    select
        *,
        cast(round(cast(balance as decimal(28, 2)) * interest_rate, 2) as decimal(18, 2)) as annual_interest
    from rated
)
select
    customer_id,
    account_id,
    balance as original_balance,
    interest_rate,
    annual_interest,
    cast(balance + annual_interest as decimal(18, 2)) as new_balance,
    as_of
from earned
