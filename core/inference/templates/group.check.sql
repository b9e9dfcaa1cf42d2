-- Groups that have no row now. Write what must hold for your figures: a check selects what is wrong.
SELECT m.${group}
FROM ${mart} AS m
WHERE m.row_count < 1
