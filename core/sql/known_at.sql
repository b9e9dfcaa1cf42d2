-- The versions that stand at a moment, or end with it.
SELECT *
    FROM ${history}
    WHERE valid_from <= :as_of
        AND (valid_to IS NULL OR valid_to >= :as_of)
