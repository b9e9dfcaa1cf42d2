"""The bare pass of the engine: read both CSVs, join them, compute the interest, write CSV and Parquet.

    python benchmarks/bare.py CUSTOMERS ACCOUNTS FOLDER

It keeps no history, checks nothing and could not say where a figure came from.
"""

import sys

import duckdb

SUMMARY = """
CREATE TABLE summary AS
WITH rated AS (
    SELECT a.CustomerID, a.AccountID, a.Balance,
        CAST(CASE WHEN a.Balance < 10000 THEN 0.01 WHEN a.Balance < 20000 THEN 0.015 ELSE 0.02 END
            + CASE WHEN c.HasLoan = 'Yes' THEN 0.005 ELSE 0 END AS DECIMAL(9, 6)) AS rate
    FROM read_csv('{accounts}', header = true, columns = {{
        'AccountID': 'BIGINT', 'CustomerID': 'BIGINT', 'Balance': 'DECIMAL(18,2)', 'AccountType': 'VARCHAR'}}) AS a
    JOIN read_csv('{customers}', header = true, columns = {{
        'CustomerID': 'BIGINT', 'Name': 'VARCHAR', 'HasLoan': 'VARCHAR'}}) AS c USING (CustomerID)
    WHERE a.AccountType = 'Savings'
), earned AS (
    SELECT *, CAST(round(CAST(Balance AS DECIMAL(28, 2)) * rate, 2) AS DECIMAL(18, 2)) AS interest FROM rated
)
SELECT CustomerID AS customer_id, AccountID AS account_id, Balance AS original_balance, rate AS interest_rate,
    interest AS annual_interest, CAST(Balance + interest AS DECIMAL(18, 2)) AS new_balance
FROM earned
"""


def main() -> None:
    customers, accounts, folder = sys.argv[1:]
    connection = duckdb.connect()
    connection.execute(SUMMARY.format(customers=customers, accounts=accounts))
    ordered = "SELECT * FROM summary ORDER BY account_id"
    connection.execute(f"COPY ({ordered}) TO '{folder}/account_summary.csv' (HEADER)")
    connection.execute(f"COPY ({ordered}) TO '{folder}/account_summary.parquet' (FORMAT parquet)")


if __name__ == "__main__":
    main()
