-- What the ledger knows when a drop comes, in one row: the drop itself, this very delivery of it, and what its feed and the
-- marts had observed before.
SELECT
    l.drop_id,
    coalesce(l.feed, '') AS feed,
    l.name,
    l.as_of,
    l.as_of_source,
    l.sequence,
    l.status,
    l.sha256,
    l.error,
    l.contract_sha256,
    l.control_sha256,
    (
        SELECT max(outcome)
        FROM delivery
        WHERE claim_id = :claim_id
    ) AS delivered_as,
    (
        SELECT max(sequence)
        FROM drop_ledger
    ) AS newest_drop,
    (
        SELECT max(sequence)
        FROM delivery
    ) AS newest_delivery,
    (
        SELECT moment
        FROM mart_moment
    ) AS moment,
    (
        SELECT max(last_effective)
        FROM drop_ledger
        WHERE feed = :feed
            AND status IN (${in_history})
    ) AS observed_until,
    v.name AS name_before,
    v.row_count AS rows_before
FROM (
    SELECT CAST(:drop_id AS STRING) AS drop_id
) AS this
LEFT JOIN drop_ledger AS l
    ON l.drop_id = this.drop_id
LEFT JOIN (
    SELECT
        name,
        rows_read - rows_duplicate AS row_count
    FROM drop_ledger
    WHERE feed = :feed
        AND status IN (${in_history})
        AND as_of <= :as_of
    ORDER BY as_of DESC, sequence DESC
    LIMIT 1
) AS v
    ON this.drop_id IS NOT NULL
