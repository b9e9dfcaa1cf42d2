CREATE OR REPLACE TEMP TABLE line AS
SELECT
    row_number() OVER () AS _line,
    coalesce(raw, '') AS text
FROM (
    ${lines}
) AS lines
