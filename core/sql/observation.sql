-- The rows that go on: valid, not refused for their neighbours, each key and effective time once.
SELECT p.*
FROM parsed AS p
WHERE p._valid
    AND NOT EXISTS (
        SELECT 1
        FROM left_out AS l
        WHERE l._line = p._line
    )
