-- The drops that were refused and corrected, each with the drop that corrected it: one that came later under the same
-- name for the same as_of, or with the same bytes; a file that belonged to no feed has another drop_id than when it is
-- dropped again with --feed.
SELECT
    q.drop_id,
    max(a.drop_id) AS superseded_by
FROM drop_ledger AS q
INNER JOIN drop_ledger AS a
    ON a.name = q.name
    AND a.sequence > q.sequence
    AND (a.as_of = q.as_of OR a.sha256 = q.sha256)
WHERE q.status = 'quarantined'
    AND a.status IN ('committed', 'published')
GROUP BY q.drop_id
