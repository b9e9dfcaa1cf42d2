count(${text}) AS filled_${place},
    count(${value}) AS fits_${place}
