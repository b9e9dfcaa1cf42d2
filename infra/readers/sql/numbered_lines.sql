CREATE OR REPLACE TEMP TABLE _dl_line AS
SELECT
    row_number() OVER () + ${before} AS _line,
    coalesce(raw, '') AS text
FROM (
    ${lines}
) AS lines
