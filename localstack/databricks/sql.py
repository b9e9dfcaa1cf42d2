"""What of a statement the stand-in must know before Spark sees it.

What a SQL warehouse would refuse, what OSS Spark's parser does not know, and where volume paths lie.
"""

import re
from dataclasses import dataclass
from pathlib import Path

PARAMETERS = {  # of a SQL warehouse, and what stands behind each in Spark, if anything does
    "ANSI_MODE": "spark.sql.ansi.enabled",
    "LEGACY_TIME_PARSER_POLICY": "spark.sql.legacy.timeParserPolicy",
    "MAX_FILE_PARTITION_BYTES": "spark.sql.files.maxPartitionBytes",
    "QUERY_TAGS": None,
    "STATEMENT_TIMEOUT": None,
    "TIMEZONE": "spark.sql.session.timeZone",
    "USE_CACHED_RESULT": None,
}
REFUSED = {  # by their first words
    "BEGIN": "multi-statement transactions and scripts",
    "COMMIT": "multi-statement transactions",
    "ROLLBACK": "multi-statement transactions",
    "START": "multi-statement transactions",
    "CREATE TEMPORARY TABLE": "temporary tables",
    "CREATE TEMP TABLE": "temporary tables",
    "CREATE OR REPLACE TEMPORARY TABLE": "temporary tables",
    "CREATE OR REPLACE TEMP TABLE": "temporary tables",
    "CREATE GLOBAL": "global temporary views",
    "CREATE OR REPLACE GLOBAL": "global temporary views",
    "ADD": "resources of the cluster",
    "LIST JAR": "resources of the cluster",
    "LIST JARS": "resources of the cluster",
    "CACHE": "caching by statement",
    "UNCACHE": "caching by statement",
    "CLEAR": "caching by statement",
    "LOAD": "Hive's LOAD DATA",
}
FORMATS = "avro|binaryfile|csv|delta|json|orc|parquet|text"
NAME = r"(?:`[^`]+`|\w+)"
TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")|(?P<quoted>`(?:[^`]|``)*`)""",
    re.DOTALL,
)


class Refused(Exception):
    """A warehouse would not run the statement."""

    def __init__(self, condition: str, why: str, state: str) -> None:
        super().__init__(f"[{condition}] {why} SQLSTATE: {state}")
        self.state = state


def plain(statement: str) -> str:
    """The statement without comments, on one line, its string literals emptied: for looking at its words."""

    def keep(found: re.Match[str]) -> str:
        return " " if found["comment"] else "''" if found["text"] else found[0]

    return re.sub(r"\s+", " ", TOKEN.sub(keep, statement)).strip(" ;")


def texts(statement: str) -> list[str]:
    """The string literals of a statement, in order."""
    found = [match["text"][1:-1] for match in TOKEN.finditer(statement) if match["text"]]
    return [re.sub(r"\\(.)", r"\1", text.replace("''", "'")) for text in found]


def parts(name: str) -> tuple[str, ...]:
    """The parts of a qualified name, without their backticks."""
    return tuple(part.strip("`") for part in re.findall(NAME, name))


def refuse_what_a_warehouse_would(words: str) -> None:
    """Raises `Refused` for statements that OSS Spark runs and a SQL warehouse does not."""
    upper = words.upper()
    for beginning, what in REFUSED.items():
        if re.match(rf"{beginning}\b", upper):
            raise Refused("UNSUPPORTED_FEATURE.STAND_IN", f"A SQL warehouse has no {what}.", "0A000")
    if re.search(r"\bLOCATION ''|\bOVERWRITE (LOCAL )?DIRECTORY\b", upper):
        raise Refused("UNSUPPORTED_FEATURE.STAND_IN", "Tables lie where the catalog puts them.", "0A000")


@dataclass(frozen=True)
class Setting:
    """`SET name = value`, `SET name` (value None) or `RESET name` (name alone, reset)."""

    name: str
    value: str | None
    reset: bool = False


def setting(statement: str, words: str) -> Setting | None:
    """The warehouse parameter that a statement sets, shows or resets; None if it is another statement."""
    if not re.match(r"(RE)?SET\b", words, re.IGNORECASE):
        return None
    if re.match(r"SET (CATALOG|TIME ZONE|VAR|VARIABLE)\b", words, re.IGNORECASE):
        return None
    form = re.match(r"(RESET|SET)\s+([\w.]+)\s*(?:=\s*(.*))?$", statement.strip(" ;\n"), re.IGNORECASE | re.DOTALL)
    if not form or form[2].upper() not in PARAMETERS:
        name = form[2] if form else statement.strip()
        raise Refused("CONFIG_NOT_AVAILABLE", f"Configuration {name} is not available.", "42K0I")
    value = form[3].strip().strip("'\"") if form[3] else None
    return Setting(form[2].upper(), value, form[1].upper() == "RESET")


class Volumes:
    """The files of volumes: /Volumes/catalog/schema/volume/... lies in a folder of the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def where(self, path: str) -> Path:
        """Where a volume's file lies. Raises `Refused` for a path outside of volumes, or of no volume."""
        steps = path.removeprefix("dbfs:").split("/")
        if steps[:2] != ["", "Volumes"] or len(steps) < 5 or ".." in steps or not all(steps[2:5]):
            raise Refused("UNSUPPORTED_FEATURE.STAND_IN", f"{path} is no path in a volume.", "0A000")
        volume = self.folder.joinpath(*(step.lower() for step in steps[2:5]))
        if not volume.is_dir():
            raise Refused("VOLUME_NOT_FOUND", f"There is no volume for {path}.", "42704")
        return volume.joinpath(*steps[5:])

    def volume(self, name: tuple[str, ...], catalog: str, schema: str) -> Path:
        """The folder of a volume named in one to three parts."""
        whole = (catalog, schema)[: 3 - len(name)] + name
        return self.folder.joinpath(*(part.replace("/", "_").lstrip(".").lower() for part in whole))

    def mapped(self, statement: str) -> str:
        """The statement with paths such as parquet.`/Volumes/...` replaced by where the files lie."""
        pieces, end, before = [], 0, ""
        for found in TOKEN.finditer(statement):
            before = statement[end : found.start()]
            pieces.append(before)
            path = found["quoted"]
            if path and re.search(rf"\b({FORMATS})\s*\.\s*$", before, re.IGNORECASE) and ("/" in path or ":" in path):
                pieces.append(f"`{self.where(path[1:-1])}`")
            else:
                pieces.append(found[0])
            end = found.end()
        return "".join([*pieces, statement[end:]])
