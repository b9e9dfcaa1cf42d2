DELETE FROM ${mart}
/* incremental */ WHERE (${key}) IN (
    SELECT ${key}
    FROM ${touched}
) /* end */
