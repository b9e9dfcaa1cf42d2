-- The timelines of the affected keys from where they change on: the version that stood just before, and then
-- the standing observation of each effective time; equal neighbours are folded, absences leave gaps.
WITH standing AS (
    SELECT *
    FROM (
        SELECT
            *,
            row_number() OVER (PARTITION BY ${key}, _effective_at ORDER BY _sequence DESC) AS _place
        FROM _dl_merged_observation
    ) AS numbered
    WHERE _place = 1
),
point AS (
    SELECT
        ${h_columns},
        h.valid_from AS _effective_at,
        FALSE AS _absent,
        h.drop_id AS _drop_id,
        h.line AS _line
    FROM ${history} AS h
    INNER JOIN _dl_affected_key AS o
        ON ${same_key}
    WHERE h.valid_from < o.changed_from
        AND (h.valid_to IS NULL OR h.valid_to >= o.changed_from)
    UNION ALL
    SELECT
        ${columns},
        _effective_at,
        _absent,
        _drop_id,
        _line
    FROM standing
),
compared AS (
    SELECT
        *,
        lag(_absent) OVER (PARTITION BY ${key} ORDER BY _effective_at) AS _absent_before${before_columns}
    FROM point
),
change AS (
    SELECT *
    FROM compared
    WHERE coalesce(_absent_before, TRUE) <> _absent
        OR (NOT _absent AND ${differs_from_before})
),
period AS (
    SELECT
        *,
        lead(_effective_at) OVER (PARTITION BY ${key} ORDER BY _effective_at) AS _until
    FROM change
)
SELECT
    ${columns},
    _effective_at AS valid_from,
    _until AS valid_to,
    _until IS NULL AS is_current,
    _drop_id AS drop_id,
    _line AS line
FROM period
WHERE NOT _absent
