{{ config(materialized='table', database='staging') }}

select
    event_id,
    name,
    occurred_at,
    user_id,
    child_id,
    data.activity_id as activity_id,
    data.source as source,
    data.duration as duration,
    data.completed as completed,
    data.collection_id as collection_id,
    context.os.name as os_name,
    context.os.version as os_version,
    context.app.version as app_version
from read_json(
    '{{ env_var("BENCH_FOLDER") }}/landing/events_*.jsonl',
    format = 'newline_delimited',
    columns = {
        event_id: 'VARCHAR',
        name: 'VARCHAR',
        occurred_at: 'TIMESTAMP',
        user_id: 'VARCHAR',
        child_id: 'VARCHAR',
        data: 'STRUCT(activity_id VARCHAR, source VARCHAR, duration DECIMAL(12, 3), completed BOOLEAN, collection_id VARCHAR)',
        context: 'STRUCT(os STRUCT("name" VARCHAR, "version" VARCHAR), app STRUCT("version" VARCHAR))'
    }
)
