-- Records split into cells; quoted cells lose their quotes.
SELECT
    *,
    NOT contains(raw, '"') OR regexp_full_match(raw, ${record}) AS well_quoted,
    CASE
        WHEN NOT contains(raw, '"') THEN string_split(raw, ${delimiter})
        ELSE list_transform(
            regexp_extract_all(raw || ${delimiter}, ${cell_with_delimiter}, 1),
            lambda cell: CASE
                WHEN starts_with(ltrim(cell, ' '), '"')
                    THEN replace(substr(trim(cell, ' '), 2, length(trim(cell, ' ')) - 2), '""', '"')
                ELSE cell
            END
        )
    END AS cells
FROM (
    ${records}
) AS record
