-- The accounts that earn interest.
SELECT *
FROM int_account_with_customer
WHERE account_type = 'Savings'
