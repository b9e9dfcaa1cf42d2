-- The tiers of the rate card true at a moment, with the file and line behind each; no file for the default card.
SELECT
    r.min_balance,
    r.rate,
    r.loan_bonus,
    r.method,
    r.valid_from,
    r.valid_to,
    r.drop_id,
    r.line,
    d.name AS file
FROM history_rate AS r
LEFT JOIN drop_ledger AS d
    ON d.drop_id = r.drop_id
WHERE r.valid_from <= :moment
    AND (r.valid_to IS NULL OR r.valid_to > :moment)
ORDER BY r.min_balance
