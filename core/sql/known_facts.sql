-- The received rows whose key is in history by another drop: alike they count as duplicates, else they are refused.
SELECT
    o._line,
    NOT (h.valid_from <> o._effective_at OR ${differs}) AS _duplicate,
    ${column_name} AS column_name,
    ${rule} AS rule,
    ${reason} AS reason
FROM observation AS o
INNER JOIN ${history} AS h
    ON ${same_key}
WHERE h.drop_id <> :drop_id
