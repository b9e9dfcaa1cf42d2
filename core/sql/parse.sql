-- The rows of a drop, or of several by their file, with their cells typed by the contract; _valid is whether a row breaks no error rule.
WITH typed AS (
    SELECT
        s._line,
        ${file}
        ${typed_columns}
    FROM ${source} AS s
),
operated AS (
    SELECT
        *,
        ${effective_at} AS _effective_at,
        ${absent} AS _absent
    FROM typed
)
SELECT
    _line,
    ${file}
    ${columns},
    _effective_at,
    _absent,
    ${valid} AS _valid
FROM operated
