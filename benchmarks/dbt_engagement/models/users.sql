{{ config(materialized='table') }}

select *
from read_json(
    '{{ env_var("BENCH_FOLDER") }}/landing/users_*.json',
    format = 'newline_delimited',
    columns = {
        user_id: 'VARCHAR',
        country_code: 'VARCHAR',
        trial_start_at: 'TIMESTAMP',
        trial_end_at: 'TIMESTAMP',
        subscription_start_at: 'TIMESTAMP',
        subscription_expire_at: 'TIMESTAMP'
    }
)
