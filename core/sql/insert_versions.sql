INSERT INTO ${history} (${columns}, valid_from, valid_to, is_current, drop_id, line)
SELECT
    ${columns},
    valid_from,
    valid_to,
    is_current,
    drop_id,
    line
FROM _dl_added_version
