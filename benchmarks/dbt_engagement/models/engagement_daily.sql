{{
    config(
        materialized='incremental',
        unique_key='day',
        incremental_strategy='delete+insert',
        post_hook=[
            "copy (from {{ this }} order by all) to '{{ env_var('BENCH_FOLDER') }}/engagement_daily.csv' (header)",
            "copy (from {{ this }} order by all) to '{{ env_var('BENCH_FOLDER') }}/engagement_daily.parquet'",
        ],
    )
}}

-- Days in which an event arrived are made anew.
-- depends_on: {{ ref('stg_events') }}
select
    day,
    country,
    os_name,
    os_version,
    app_version,
    subscription_status,
    activity_type,
    collection,
    count(*) as activities_played,
    count(*) filter (completed) as activities_completed,
    cast(sum(seconds) as decimal(18, 3)) as seconds_played,
    count(distinct user_id) as players
from {{ ref('activity_event') }}
where name = 'activity_exit'
    {% if is_incremental() %}
    and day in (select cast(occurred_at as date) from {{ ref('stg_events') }})
    {% endif %}
group by all
