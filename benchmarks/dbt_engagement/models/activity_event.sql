{{ config(materialized='incremental', unique_key='event_id', incremental_strategy='delete+insert') }}

select
    e.event_id,
    e.name,
    e.occurred_at,
    cast(e.occurred_at as date) as day,
    e.user_id,
    e.child_id,
    e.activity_id,
    coalesce(a.type, 'unknown') as activity_type,
    coalesce(e.collection_id, 'unknown') as collection,
    e.source,
    coalesce(u.country_code, 'unknown') as country,
    case
        when u.user_id is null then 'unknown'
        when u.subscription_start_at <= e.occurred_at
            and coalesce(u.subscription_expire_at > e.occurred_at, true) then 'subscribed'
        when u.trial_start_at <= e.occurred_at and coalesce(u.trial_end_at > e.occurred_at, true) then 'trial'
        when u.subscription_start_at <= e.occurred_at or u.trial_start_at <= e.occurred_at then 'lapsed'
        else 'free'
    end as subscription_status,
    coalesce(e.os_name, 'unknown') as os_name,
    coalesce(e.os_version, 'unknown') as os_version,
    coalesce(e.app_version, 'unknown') as app_version,
    coalesce(e.duration, 0) as seconds,
    coalesce(e.completed, false) as completed
from {{ ref('stg_events') }} as e
left join {{ ref('users') }} as u on u.user_id = e.user_id
left join {{ ref('activities') }} as a on a.activity_id = e.activity_id
