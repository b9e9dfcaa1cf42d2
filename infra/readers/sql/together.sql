-- The rows of files that were read together, by the place of their file; files in which a line is no row are left out.
SELECT
    file._file,
    placed._line,
    ${cells}
FROM (
    SELECT
        *,
        rowid - min(rowid) OVER (PARTITION BY filename) + 2 AS _line,
        count(*) OVER (PARTITION BY filename) AS row_count
    FROM ${read}
) AS placed
INNER JOIN (
    SELECT
        unnest($$files) AS _file,
        unnest($$paths) AS path,
        unnest($$lines) AS physical_lines
) AS file
    ON file.path = placed.filename
    AND file.physical_lines = placed.row_count + 1
