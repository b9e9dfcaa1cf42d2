-- The versions of users by which these events are where they are, with the file and line behind each.
SELECT DISTINCT
    u.user_id,
    e.country,
    e.subscription_status,
    u.valid_from,
    u.drop_id,
    u.line,
    d.name AS file
FROM events AS e
INNER JOIN history_user AS u
    ON u.user_id = e.user_id
    AND u.valid_from = e.user_since
LEFT JOIN drop_ledger AS d
    ON d.drop_id = u.drop_id
ORDER BY
    u.user_id,
    u.valid_from
