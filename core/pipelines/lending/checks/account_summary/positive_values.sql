SELECT m.account_id
FROM account_summary AS m
/* incremental */ INNER JOIN touched_account_summary AS t ON t.account_id = m.account_id /* end */
WHERE m.original_balance < 0
    OR m.interest_rate < 0
    OR m.annual_interest < 0
    OR m.new_balance < m.original_balance
