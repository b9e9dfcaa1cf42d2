-- The rows that go on: valid, not refused for their neighbours, each key and effective time once.
SELECT p.*
FROM _dl_parsed AS p
WHERE p._valid
    AND p._line NOT IN (
        SELECT _line
        FROM _dl_left_out
    )
