"""A second pipeline: parcels in depots, by keys of several texts, with a column that is not for everybody."""

from pathlib import Path

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from support.ledger import Ledger

FILES = {
    "pipeline.yaml": "pipeline: parcels\nschema: parcels\nmoment: [parcel]\n",
    "depot.yaml": """
feed: depot
description: Where parcels lie.
owner: logistics
files: ["depots*.csv"]
key: [country, code]
columns:
  - {name: country, rules: [not_null], description: The country of the depot.}
  - {name: code, rules: [not_null]}
  - {name: manager, classification: restricted, description: Who answers for it.}
""",
    "parcel.yaml": """
feed: parcel
files: ["parcels*.csv"]
mode: delta
operation: {column: operation}
max_rejected: 0.9
key: [country, code, number]
columns:
  - {name: country, rules: [not_null]}
  - {name: code, rules: [not_null]}
  - {name: number, rules: [not_null, {rule: pattern, pattern: "^P", name: begins_with_p}]}
  - {name: weight, aliases: [Kilos], type: "decimal(9,3)", default: "1.000", rules: [{rule: range, min: 0}]}
  - {name: state, rules: [{rule: accepted_values, values: [there, gone], severity: warn}]}
  - {name: operation}
checks:
  - {name: some_weight, severity: warn, message: all parcels weigh nothing}
""",
    "checks/parcel/some_weight.sql": "SELECT 1 AS failing FROM observation HAVING max(weight) = 0\n",
    "intermediate/int_parcel_there.sql": """-- The parcels that lie in a depot.
SELECT p.*, d.manager
FROM history_parcel AS p
LEFT JOIN history_depot AS d
    ON d.country = p.country
    AND d.code = p.code
    AND d.is_current
WHERE p.is_current
    AND p.state = 'there'
""",
    "marts/depot_load.yaml": """
mart: depot_load
description: What lies in each depot.
key: [country, code]
columns: [country, code, parcels, weight]
artifacts: [csv]
changes: true
measure: weight
descriptions: {weight: The sum of the weights.}
checks:
  - {name: no_empty_depot, message: a depot without a parcel has a row}
  - {name: weight_is_carried, severity: warn, message: a depot carries more than a ton}
""",
    "marts/depot_load.sql": """SELECT
    p.country,
    p.code,
    count(*) AS parcels,
    sum(p.weight) AS weight,
    max(p.manager) AS manager
FROM int_parcel_there AS p
/* incremental */ INNER JOIN touched_depot_load AS t ON t.country = p.country AND t.code = p.code /* end */
GROUP BY p.country, p.code
""",
    "marts/depot_load.touched.sql": """SELECT country, code FROM changed_parcel
UNION
SELECT country, code FROM changed_depot
""",
    "checks/depot_load/no_empty_depot.sql": "SELECT country FROM depot_load WHERE parcels = 0\n",
    "checks/depot_load/weight_is_carried.sql": "SELECT country FROM depot_load WHERE weight > 1000\n",
    "marts/parcel_state.yaml": """
mart: parcel_state
key: [country, code, number]
columns: [country, code, number, state]
""",
    "marts/parcel_state.sql": """SELECT t.country, t.code, t.number, p.state
FROM touched_parcel_state AS t
INNER JOIN history_parcel AS p
    ON p.country = t.country
    AND p.code = t.code
    AND p.number = t.number
    AND p.is_current
""",
    "marts/parcel_state.touched.sql": "SELECT country, code, number FROM changed_parcel\n",
}
DEPOTS = "Country,Code,Manager\nES,MAD,Ann\nES,BCN,Bo\n"
PARCELS = "Country,Code,Number,Kilos,State,Operation\n"


def parcels_pipeline(folder: Path) -> Pipeline:
    """The pipeline, in a folder where there is none."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return load_pipeline(str(folder))


def dropped_parcels(ledger: Ledger) -> list[str]:
    """Drop a file of depots and three of parcels; the drop_ids of the latter.

    Of the parcels the first file has a bad row of three and one that a check warns of, the second breaks a check of
    severity warn of a mart, and the third has nothing but bad rows, and so goes to quarantine.
    """
    ledger.drop("depots_2026-01-01.csv", DEPOTS)
    files = {
        "parcels_2026-01-02.csv": "ES,MAD,P1,2.5,there,I\nES,BCN,P2,0,lost,I\nES,BCN,X,1,there,I\n",
        "parcels_2026-01-03.csv": "ES,MAD,P3,2000,there,I\nES,BCN,P2,0,gone,U\n",
        "parcels_2026-01-04.csv": "ES,MAD,Y1,1,there,I\nES,MAD,Y2,1,there,I\n",
    }
    return [ledger.drop(name, f"{PARCELS}{rows}").drop.drop_id for name, rows in files.items()]
