-- All groups that there are, and those that there were.
SELECT h.${group}
FROM history_${feed} AS h
WHERE h.is_current
UNION
SELECT m.${group}
FROM ${mart} AS m
