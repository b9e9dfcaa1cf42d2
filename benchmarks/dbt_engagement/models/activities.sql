{{ config(materialized='table') }}

select *
from read_json(
    '{{ env_var("BENCH_FOLDER") }}/landing/activities_*.json',
    format = 'newline_delimited',
    columns = {activity_id: 'VARCHAR', name: 'VARCHAR', type: 'VARCHAR', subtype: 'VARCHAR'}
)
