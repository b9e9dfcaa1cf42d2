count(${text}) AS filled_${place},
    coalesce(sum(CASE WHEN regexp_like(${text}, ${pattern}) THEN 1 ELSE 0 END), 0) AS fits_${place},
    max(CASE WHEN regexp_like(${text}, ${pattern}) THEN length(regexp_extract(${plain}, '^[^0-9.]*0*([0-9]*)', 1)) END) AS whole_${place},
    max(CASE WHEN regexp_like(${text}, ${pattern}) THEN length(regexp_extract(${plain}, '[.]([0-9]*)', 1)) END) AS scale_${place},
    min(CASE WHEN regexp_like(${text}, '^([+]|[-]?0[0-9])') THEN ${text} END) AS padded_${place}
