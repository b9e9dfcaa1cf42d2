SELECT user_id
FROM observation
WHERE trial_end_at < trial_start_at
    OR subscription_expire_at < subscription_start_at
