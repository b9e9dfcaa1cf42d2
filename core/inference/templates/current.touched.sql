-- The keys that a drop has changed.
SELECT ${key}
FROM changed_${feed} AS c
