"""What the columns of an explanation's selects are made of."""

from collections.abc import Mapping

from dropledger.core.contracts.pipeline_spec import Explanation, Pipeline
from dropledger.core.lineage.kept import lineage_of
from dropledger.core.lineage.made import Made, Ref, Rows, rows_of
from dropledger.core.lineage.query import read_query


def columns_of_sections(pipeline: Pipeline, explanation: Explanation) -> Mapping[str, Mapping[str, frozenset[Ref]]]:
    """The columns of tables that each column of its sections, parts and figure tells of, by their names.

    Where that is not sure, it is all columns of what the section reads.
    """
    known: dict[str, Rows] = {
        name.casefold(): rows_of(name, table.columns) for name, table in lineage_of(pipeline).items()
    }
    found: dict[str, Mapping[str, frozenset[Ref]]] = {}
    for section in (*explanation.sections, *explanation.parts, explanation.figure):
        rows = read_query(section.sql, known, schema=pipeline.file.db_schema)
        everything = rows.everything
        found[section.name] = {
            name: _shown_by(everything if made.unsure or rows.hidden else made) for name, made in rows.columns.items()
        }
        known[section.name] = rows
    return found


def _shown_by(made: Made) -> frozenset[Ref]:
    """The columns that a value is made of, and those that a CASE chooses it by: it tells of them as well."""
    return made.direct | {ref for ref, how in made.indirect if how == "case"}
