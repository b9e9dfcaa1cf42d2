-- Records split into cells; quoted cells lose their quotes. A record has two meanings where quotes open within a cell and
-- close within a later one, neither of them quoted: a separator may be lost before the first of them.
SELECT
    * EXCLUDE (received),
    well_quoted AND NOT two_meanings AS clear,
    CASE
        WHEN NOT contains(raw, ${quote}) THEN received
        ELSE list_transform(
            received,
            lambda cell: CASE
                WHEN starts_with(ltrim(cell, ' '), ${quote})
                    THEN ${unquoted}
                ELSE cell
            END
        )
    END AS cells
FROM (
    SELECT
        *,
        len(half_quoted) > 1
            AND len(list_filter(half_quoted[:-2], lambda cell: regexp_matches(cell, ${opens_within}))) > 0 AS two_meanings
    FROM (
        SELECT
            *,
            CASE
                WHEN contains(raw, ${quote}) THEN list_filter(
                    received,
                    lambda cell: NOT starts_with(ltrim(cell, ' '), ${quote})
                        AND (len(cell) - len(replace(cell, ${quote}, ''))) % 2 = 1
                )
                ELSE []
            END AS half_quoted
        FROM (
            SELECT
                *,
                NOT contains(raw, ${quote}) OR regexp_full_match(raw, ${record}) AS well_quoted,
                CASE
                    WHEN NOT contains(raw, ${quote}) THEN string_split(raw, ${delimiter})
                    ELSE regexp_extract_all(raw || ${delimiter}, ${cell_with_delimiter}, 1)
                END AS received
            FROM (
                ${records}
            ) AS record
        ) AS cut
    ) AS counted
) AS judged
