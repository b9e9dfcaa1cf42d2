-- For each row that breaks an error rule, the first rule that it breaks; rows alike to the letter count once.
WITH typed AS (
    SELECT
        s._line,
        ${typed_columns},
        row_number() OVER (PARTITION BY ${text_columns} ORDER BY s._line) > 1 AS _duplicate
    FROM ${source} AS s
    INNER JOIN _dl_parsed AS p
        ON p._line = s._line
    WHERE NOT p._valid
),
operated AS (
    SELECT
        *,
        ${effective_at} AS _effective_at,
        ${absent} AS _absent
    FROM typed
),
refused AS (
    SELECT
        *,
        CASE ${refusal_cases} END AS _refusal
    FROM operated
)
SELECT
    _line,
    _duplicate,
    CASE _refusal ${column_cases} END AS column_name,
    CASE _refusal ${rule_cases} END AS rule,
    CASE _refusal ${reason_cases} END AS reason
FROM refused
