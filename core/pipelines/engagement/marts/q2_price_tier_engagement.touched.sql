-- All price tiers, those that are no longer there too, where usage or the catalog changed: to count one reads all usage.
SELECT t.price_tier
FROM (
    SELECT coalesce(price_tier, 'unknown') AS price_tier
    FROM history_catalog
    WHERE is_current
    UNION
    SELECT price_tier
    FROM q2_price_tier_engagement
    UNION
    SELECT 'unknown'
) AS t
WHERE EXISTS (SELECT 1 FROM changed_usage)
    OR EXISTS (SELECT 1 FROM changed_catalog)
