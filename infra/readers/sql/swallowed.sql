-- The lines behind the first of a malformed record that would be rows by themselves: a stray quote may have swallowed
-- them, and each counts as refused.
INSERT INTO ${into}
SELECT
    _line,
    'malformed_quotes' AS rule,
    concat('a quote that opens in line ', first_line, ' and is not closed there swallows this line') AS reason,
    raw
FROM (
    ${split}
) AS split
WHERE clear
    AND ${shape}
