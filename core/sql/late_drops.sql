-- The drops in history, each with whether it was late: it observed something before what its feed had observed when it
-- was admitted, by its initial rows, by drops before it, or by drops that were taken back only later.
WITH accepted AS (
    SELECT
        drop_id,
        feed,
        sequence,
        received_at,
        first_effective,
        last_effective
    FROM drop_ledger
    WHERE status IN ('committed', 'published')
        ${never_late}
    ${initial}
),
observed AS (
    SELECT
        drop_id,
        first_effective,
        max(last_effective) OVER (
            PARTITION BY feed
            ORDER BY sequence
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS observed_until
    FROM accepted
),
taken_back AS (
    SELECT
        a.drop_id,
        max(l.last_effective) AS observed_until
    FROM retraction AS r
    INNER JOIN drop_ledger AS l
        ON l.drop_id = r.drop_id
    INNER JOIN accepted AS a
        ON a.feed = l.feed
        AND a.sequence > r.sequence
        AND a.received_at < r.retracted_at
    GROUP BY a.drop_id
)
SELECT
    o.drop_id,
    coalesce(o.first_effective < o.observed_until, FALSE)
        OR coalesce(o.first_effective < t.observed_until, FALSE) AS late
FROM observed AS o
LEFT JOIN taken_back AS t
    ON t.drop_id = o.drop_id
WHERE o.drop_id IS NOT NULL
