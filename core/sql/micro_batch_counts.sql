-- How many of the merged versions each drop of a micro-batch opened, and how many it closed. All of its drops are later
-- than what was there before, so that a version which ends at the as_of of one was closed by it.
SELECT
    m.drop_id,
    (
        SELECT count(*)
        FROM _dl_merged AS opened
        WHERE opened.drop_id = m.drop_id
    ) AS opened,
    (
        SELECT count(*)
        FROM _dl_merged AS closed
        WHERE closed.valid_to = m.as_of
    ) AS closed
FROM _dl_micro_batch AS m
