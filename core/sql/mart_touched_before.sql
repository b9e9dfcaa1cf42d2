-- The touched keys of a mart, each with the row that it has now; a key that has none stands alone.
SELECT
    ${touched_keys},
    m.*
FROM (
    ${touched_select}
) AS t
LEFT JOIN ${mart} AS m ON ${same_key}
