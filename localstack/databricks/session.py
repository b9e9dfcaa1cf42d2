"""A connection's Spark session: statements in, tables of Arrow or a warehouse's errors out."""

import decimal
import json
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sql
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812  as everybody calls it
from pyspark.sql.classic.column import Column
from pyspark.sql.types import StructType

if TYPE_CHECKING:
    from engine import Engine

LATE_INSERT = re.compile(
    rf"""\s*INSERT\ INTO\ (?P<table>{sql.NAME}(?:\.{sql.NAME})*)
    (?:\s+(?P<columns>\({sql.NAME}(?:,\s*{sql.NAME})*\)))?\s+(?P<query>.*)$""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
INSERT = re.compile(rf"\bINSERT (?:INTO|OVERWRITE)(?: TABLE)? ({sql.NAME}(?:\.{sql.NAME})*)", re.IGNORECASE)
SCHEMA = re.compile(
    rf"(CREATE|DROP) (?:SCHEMA|DATABASE) (IF (?:NOT )?EXISTS )?({sql.NAME}(?:\.{sql.NAME})*)", re.IGNORECASE
)
HISTORY = re.compile(rf"\((DESCRIBE HISTORY ({sql.NAME}(?:\.{sql.NAME})*)(?: LIMIT \d+)?)\)", re.IGNORECASE)
GRANT = re.compile(rf"GRANT .+ ON SCHEMA ({sql.NAME}(?:\.{sql.NAME})*) TO ", re.IGNORECASE)
VOLUME = re.compile(
    rf"(CREATE|DROP) VOLUME (IF (?:NOT )?EXISTS )?({sql.NAME}(?:\.{sql.NAME})*)(?: COMMENT '')?$", re.IGNORECASE
)


EVERYBODY = "*"
"""Whose a schema is that was granted to somebody."""


@dataclass(frozen=True)
class Result:
    """What a statement gave. `modified` is None for what is no INSERT, UPDATE, DELETE or MERGE."""

    table: pa.Table
    modified: int | None = None
    staging: bool = False


@dataclass(frozen=True)
class Parameter:
    """A bound value, as the connector sends it: the name of its type, and its text."""

    name: str | None
    type: str
    text: str | None


class Failed(Exception):
    """The statement failed; `state` is its SQLSTATE, `details` Spark's whole story."""

    def __init__(self, message: str, state: str, details: str = "") -> None:
        super().__init__(message)
        self.state = state
        self.details = details or message


def failure(error: Exception) -> Failed:
    """A failure as the warehouse words it: condition, message, SQLSTATE, without plans and stack traces."""
    if isinstance(error, sql.Refused):
        return Failed(str(error), error.state)
    cause = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
    told = [str(error)]
    while cause is not None:
        told.append(cause.getMessage() or cause.toString())
        cause = cause.getCause()
    message = next((text for text in told if "SQLSTATE: " in text or text.startswith("[")), told[0])
    message = message[max(message.find("["), 0) :] if "SQLSTATE: " in message else message
    state = re.search(r"SQLSTATE: (\w{5})", message)
    return Failed(message.split(";\n")[0].split("\n\nJVM stack")[0].strip(), state[1] if state else "XX000", told[0])


def arrow(frame: DataFrame) -> pa.Table:
    """A frame's rows; what Arrow cannot hold as Spark describes it (the metrics of OPTIMIZE) as JSON text."""
    if not frame.columns:
        return pa.table({})
    try:
        return frame.toArrow()
    except pa.ArrowException:
        nested = {field.name for field in frame.schema if isinstance(field.dataType, StructType)}
        return frame.select(
            *(
                F.to_json(F.col(f"`{name}`")).alias(name) if name in nested else F.col(f"`{name}`")
                for name in frame.columns
            )
        ).toArrow()


class Session:
    """A connection's Spark session. One statement at a time."""

    def __init__(
        self,
        engine: "Engine",
        catalog: str | None,
        schema: str | None,
        settings: Mapping[str, str],
        principal: str = "",
    ) -> None:
        self.engine = engine
        self.principal = principal
        self.spark = engine.spark.newSession()
        self.parameters = {"STATEMENT_TIMEOUT": "172800", "ANSI_MODE": "true", "TIMEZONE": "UTC"}
        if catalog:
            self.spark.sql(f"SET CATALOG `{catalog}`")
        if schema:
            self.spark.sql(f"USE SCHEMA `{schema}`")
        for name, value in settings.items():
            if not name.lower().startswith("spark."):
                self._set(sql.Setting(name.upper(), value))

    def run(self, statement: str, parameters: Sequence[Parameter], group: str, staging_url: str) -> Result:
        """Run a statement. Raises Failed."""
        words = sql.plain(statement)
        context = self.spark.sparkContext
        too_long = threading.Event()

        def end() -> None:
            too_long.set()
            self.engine.cancel(group, "timeout")

        try:
            sql.refuse_what_a_warehouse_would(words)
            handled = self._own(statement, words, staging_url)
            if handled is not None:
                return handled
            context.setJobGroup(group, statement[:100], interruptOnCancel=True)
            seconds = float(self.parameters["STATEMENT_TIMEOUT"])
            timer = threading.Timer(min(seconds, 10**6) or 10**6, end)
            timer.daemon = True
            timer.start()
            try:
                return self._run(statement, words, parameters)
            finally:
                timer.cancel()
        except (PySparkException, Py4JJavaError, sql.Refused) as error:
            if too_long.is_set():
                message = (
                    "[QUERY_EXECUTION_TIMEOUT_EXCEEDED] Query execution was cancelled due to exceeding the timeout "
                    f"({self.parameters['STATEMENT_TIMEOUT']}s). SQLSTATE: 57KD0"
                )
                raise Failed(message, "57KD0") from error
            raise failure(error) from error

    def insert_late(self, statement: str, parameters: Sequence[Parameter], linger: Callable[[], None]) -> Result:
        """Run an INSERT whose rows are read now, and written after `linger`, as if nothing had happened meanwhile.

        So does a statement that runs when its table is changed, where Delta lets it through: its commit says which
        version it had read.
        """
        found = LATE_INSERT.match(statement)
        if found is None:
            raise sql.Refused("UNSUPPORTED_FEATURE.STAND_IN", "Just an INSERT INTO can slip in.", "0A000")
        args = {str(each.name): self._bound(each) for each in parameters}
        rows = self.spark.sql(found["query"], args=args).toArrow()
        log = self._log_of(found["table"])
        read = max(int(path.stem) for path in log.glob("*.json"))
        linger()
        self.spark.createDataFrame(rows).createOrReplaceTempView("slips_in")
        self.spark.sql(f"INSERT INTO {found['table']} {found['columns'] or ''} SELECT * FROM slips_in")
        written = max(log.glob("*.json"), key=lambda path: int(path.stem))
        lines = [json.loads(line) for line in written.read_text("utf-8").splitlines()]
        for line in lines:
            if "commitInfo" in line:
                line["commitInfo"]["readVersion"] = read
        written.with_name(f".{written.name}.crc").unlink(missing_ok=True)  # of the file system, for the text before
        written.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        return Result(pa.table({"num_affected_rows": [rows.num_rows]}), rows.num_rows)

    def _log_of(self, name: str) -> Path:
        """The folder of a table's log."""
        state = self.spark._jsparkSession.sessionState()
        within = ".".join(re.findall(sql.NAME, name)[-2:])  # there is one catalog
        entry = state.catalog().getTableMetadata(state.sqlParser().parseTableIdentifier(within))
        return Path(entry.location().getPath()) / "_delta_log"

    def _run(self, statement: str, words: str, parameters: Sequence[Parameter]) -> Result:
        statement = self.engine.volumes.mapped(statement)
        if HISTORY.search(words):
            statement = HISTORY.sub(self._history, statement)
        statement = re.sub(r"^\s*USE\s+CATALOG\b", "SET CATALOG", statement, flags=re.IGNORECASE)
        insert = INSERT.search(words)
        if insert:
            self.spark.conf.unset("spark.databricks.delta.lastCommitVersionInSession")
        schema = self.spark.catalog.currentDatabase() if " view " in words.lower() else ""
        if parameters and parameters[0].name is None:
            frame = self.spark.sql(statement, args=[self._bound(parameter) for parameter in parameters])
        elif parameters:
            frame = self.spark.sql(statement, args={str(each.name): self._bound(each) for each in parameters})
        else:
            frame = self.spark.sql(statement)
        self.engine.views.note(words, statement, schema)
        if insert:
            count = self._inserted(insert[1])
            return Result(pa.table({"num_affected_rows": [count], "num_inserted_rows": [count]}), count)
        table = arrow(frame)
        if re.match(r"SHOW (SCHEMAS|DATABASES)", words, re.IGNORECASE):
            names = table.column(0).to_pylist()
            seen = [self.engine.owners.get(name.lower()) in (None, self.principal, EVERYBODY) for name in names]
            return Result(table.filter(pa.array(seen, pa.bool_())))
        if "num_affected_rows" in table.column_names and re.search(r"\b(UPDATE|DELETE|MERGE)\b", words, re.IGNORECASE):
            return Result(table, table["num_affected_rows"][0].as_py())
        return Result(table)

    def _history(self, found: re.Match[str]) -> str:
        """A name for the history of a table, which a warehouse reads like a table, and Spark's parser does not."""
        name = "history_of_" + re.sub(r"\W", "_", found[2])
        self.spark.sql(found[1]).createOrReplaceTempView(name)
        return name

    def _inserted(self, name: str) -> int:
        """How many rows the INSERT that just ran wrote, as Delta's log has it: OSS Delta gives no result for it."""
        version = self.spark.conf.get("spark.databricks.delta.lastCommitVersionInSession", None)
        if version is None:
            return 0
        log = self._log_of(name) / f"{int(version):020}.json"
        for line in log.read_text("utf-8").splitlines():
            if '"commitInfo"' in line:
                return int(json.loads(line)["commitInfo"].get("operationMetrics", {}).get("numOutputRows", 0))
        return 0

    def _bound(self, parameter: Parameter) -> Any:
        """A literal of exactly the type that the connector named."""
        kind, text = parameter.type.upper(), parameter.text
        if text is None or kind == "VOID":
            return F.lit(None)
        bare = text.replace("'", "")
        if kind == "STRING":
            return F.lit(text)
        if kind == "BOOLEAN":
            return F.lit(text.lower() == "true")
        if kind in ("TINYINT", "SMALLINT", "INT", "BIGINT"):
            return F.expr(f"{int(text)}{ {'TINYINT': 'Y', 'SMALLINT': 'S', 'INT': '', 'BIGINT': 'L'}[kind] }")
        if kind in ("DOUBLE", "FLOAT"):
            return F.lit(float(text)) if kind == "DOUBLE" else F.expr(f"{float(text)}F")
        if kind in ("DATE", "TIMESTAMP", "TIMESTAMP_NTZ"):
            return F.expr(f"{kind}'{bare}'")
        if found := re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", kind):
            return self._decimal(text, int(found[1]), int(found[2]))
        raise sql.Refused("UNSUPPORTED_DATATYPE", f"The stand-in binds no {kind}.", "0A000")

    def _decimal(self, text: str, precision: int, scale: int) -> Column:
        """A DECIMAL(precision, scale), rounded half up to the scale as a cast does it."""
        decimal.Decimal(text)
        jvm: Any = self.spark._jvm
        types = jvm.org.apache.spark.sql.types
        try:
            value = types.Decimal.apply(jvm.java.math.BigDecimal(text), precision, scale)
        except Py4JJavaError as error:
            why = f"{text} cannot be represented as Decimal({precision}, {scale})."
            raise sql.Refused("NUMERIC_VALUE_OUT_OF_RANGE", why, "22003") from error
        literal = jvm.org.apache.spark.sql.catalyst.expressions.Literal(value, types.DecimalType(precision, scale))
        return Column(jvm.org.apache.spark.sql.classic.ExpressionUtils.column(literal))

    def _own(self, statement: str, words: str, staging_url: str) -> Result | None:
        """What a statement gives that Spark's parser doesn't know, or must not see; None for all others."""
        wanted = sql.setting(statement, words)
        if wanted:
            return self._set(wanted)
        volume = VOLUME.match(words)
        if volume:
            return self._volume(volume)
        schema = SCHEMA.match(words)
        if schema and not self._may(schema):
            return Result(pa.table({}))
        grant = GRANT.match(words)
        if grant:
            self.engine.owners[sql.parts(grant[1])[-1].lower()] = EVERYBODY
            return Result(pa.table({}))
        first = words.partition(" ")[0].upper()
        named = sql.texts(statement)
        if first == "LIST" and len(named) == 1:
            return self._list(named[0])
        volumes = {"PUT": 1, "GET": 0, "REMOVE": 0}
        if first not in volumes or len(named) != (1 if first == "REMOVE" else 2):
            return None
        path = named[volumes[first]]
        file = self.engine.volumes.where(path)
        if first == "PUT" and file.exists() and not words.upper().endswith("OVERWRITE"):
            raise sql.Refused("RESOURCE_ALREADY_EXISTS", f"{path} exists. Try: OVERWRITE.", "42710")
        if first != "PUT" and not file.is_file():
            raise sql.Refused("PATH_NOT_FOUND", f"Path does not exist: {path}.", "42K03")
        local = named[1 - volumes[first]] if first != "REMOVE" else None
        row = {"operation": first, "presignedUrl": staging_url + path, "headers": "{}", "localFile": local}
        return Result(pa.Table.from_pylist([row], pa.schema([(name, pa.string()) for name in row])), staging=True)

    def _may(self, found: re.Match[str]) -> bool:
        """Note who makes a schema. Whether there is anything to do: what another made is not there for who drops it."""
        name, owners = sql.parts(found[3])[-1].lower(), self.engine.owners
        create, tolerant = found[1].upper() == "CREATE", bool(found[2])
        if owners.get(name, self.principal) not in (self.principal, EVERYBODY):
            if not tolerant:
                condition, state = ("ALREADY_EXISTS", "42P06") if create else ("NOT_FOUND", "42704")
                raise sql.Refused(f"SCHEMA_{condition}", f"The schema {name}.", state)
            return False
        if create:
            owners.setdefault(name, self.principal)
        else:
            owners.pop(name, None)
        return True

    def _set(self, wanted: sql.Setting) -> Result:
        """Set, show or reset a warehouse parameter."""
        if wanted.name not in sql.PARAMETERS:
            raise sql.Refused("CONFIG_NOT_AVAILABLE", f"Configuration {wanted.name} is not available.", "42K0I")
        inner = sql.PARAMETERS[wanted.name]
        if wanted.reset:
            self.parameters |= {"STATEMENT_TIMEOUT": "172800"} if wanted.name == "STATEMENT_TIMEOUT" else {}
            if inner:
                self.spark.conf.unset(inner)
        elif wanted.value is not None:
            self.parameters[wanted.name] = str(float(wanted.value)) if "TIMEOUT" in wanted.name else wanted.value
            if inner:
                self.spark.conf.set(inner, wanted.value)
        return Result(pa.table({"key": [wanted.name], "value": [self.parameters.get(wanted.name, "")]}))

    def _volume(self, found: re.Match[str]) -> Result:
        """CREATE VOLUME and DROP VOLUME."""
        schema = self.spark.catalog.currentDatabase()
        folder = self.engine.volumes.volume(sql.parts(found[3]), self.spark.catalog.currentCatalog(), schema)
        create = found[1].upper() == "CREATE"
        if folder.exists() == create and not found[2]:
            condition, state = ("VOLUME_ALREADY_EXISTS", "42710") if create else ("VOLUME_NOT_FOUND", "42704")
            raise sql.Refused(condition, f"Volume {found[3]}.", state)
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        return Result(pa.table({}))

    def _list(self, path: str) -> Result:
        """LIST of a folder in a volume."""
        folder = self.engine.volumes.where(path)
        if not folder.exists():
            raise sql.Refused("PATH_NOT_FOUND", f"Path does not exist: {path}.", "42K03")
        found = sorted(file for file in (folder.iterdir() if folder.is_dir() else [folder]) if file.name[0] != ".")
        rows = [
            {
                "path": f"{path.rstrip('/')}/{file.name}" if folder.is_dir() else path,
                "name": file.name + ("/" if file.is_dir() else ""),
                "size": 0 if file.is_dir() else file.stat().st_size,
                "modification_time": int(file.stat().st_mtime * 1000),
            }
            for file in found
        ]
        fields = [("path", pa.string()), ("name", pa.string()), ("size", pa.int64()), ("modification_time", pa.int64())]
        return Result(pa.Table.from_pylist(rows, pa.schema(fields)))
