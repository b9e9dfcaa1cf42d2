-- The sum of a measure; NULL where a value is too large for any number of rows like it to be summed.
CASE
    WHEN count(CASE WHEN m.${measure} <= -${limit} OR m.${measure} >= ${limit} THEN 1 END) > 0 THEN NULL
    ELSE CAST(
        coalesce(
            sum(
                CASE
                    WHEN m.${measure} > -${limit} AND m.${measure} < ${limit} THEN CAST(m.${measure} AS DECIMAL(26, 10))
                END
            ),
            0
        ) AS DECIMAL(36, 10)
    )
END
