SELECT *
    FROM ${history}
    WHERE valid_from <= :as_of
        AND (valid_to IS NULL OR valid_to >= :as_of)
