-- The rows that are about to be recomputed, as they are now.
SELECT m.*
FROM ${mart} AS m
/* incremental */ INNER JOIN ${touched} AS t ON ${same_key} /* end */
