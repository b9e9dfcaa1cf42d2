"""What databricks-sql-connector says and is answered: sessions, operations and results, in Thrift."""

import os
import secrets
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace
from typing import Any

import lz4.frame
import pyarrow as pa
from databricks.sql.thrift_api.TCLIService import ttypes
from engine import CATALOG, Engine
from faults import FAILURES, Fault, Faults
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from session import Failed, Parameter, Result, Session, failure
from sql import Refused

VOLUMES = "/_volumes/"
RESULTS = "/_results/"
LINKED_BYTES = 100_000  # results from this size on are handed over by the storage, where the client lets them
PATIENCE = 5.0  # seconds after which a request is answered "still running"
NO_THRIFT = "BAD_REQUEST: Lakehouse/RT is not supported for Thrift protocol."
OK = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)
State = ttypes.TOperationState
TYPES = (
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_int8, "TINYINT"),
    (pa.types.is_int16, "SMALLINT"),
    (pa.types.is_int32, "INT"),
    (pa.types.is_int64, "BIGINT"),
    (pa.types.is_float32, "FLOAT"),
    (pa.types.is_float64, "DOUBLE"),
    (pa.types.is_decimal, "DECIMAL"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_timestamp, "TIMESTAMP"),
    (pa.types.is_binary, "BINARY"),
    (pa.types.is_null, "NULL"),
    (pa.types.is_map, "MAP"),
    (pa.types.is_list, "ARRAY"),
    (pa.types.is_struct, "STRUCT"),
)


class Answered(Exception):
    """The request is answered on the level of HTTP, with this code."""

    def __init__(self, code: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Operation:
    """A statement that runs or ran, and where its reader is."""

    def __init__(
        self, future: Future[Result], compress: bool, linked: bool, fault: Fault | None, links: "Links"
    ) -> None:
        self.future = future
        self.compress = compress
        self.may_be_linked = linked
        self.fault = fault
        self.links = links
        self.read = 0

    def linked(self) -> bool:
        """Whether the result is handed over by links."""
        return self.may_be_linked and self.future.result().table.nbytes >= LINKED_BYTES

    def status(self, patience: float = PATIENCE) -> ttypes.TGetOperationStatusResp:
        """Its status, waiting some time for its end."""
        try:
            modified = self.future.result(timeout=patience).modified
        except NotYet:
            return ttypes.TGetOperationStatusResp(status=OK, operationState=State.RUNNING_STATE)
        except Failed as failed:
            return ttypes.TGetOperationStatusResp(
                status=OK,
                operationState=State.ERROR_STATE,
                sqlState=failed.state,
                errorMessage=str(failed),
                displayMessage=str(failed),
                diagnosticInfo=failed.details,
            )
        return ttypes.TGetOperationStatusResp(status=OK, operationState=State.FINISHED_STATE, numModifiedRows=modified)

    def metadata(self) -> ttypes.TGetResultSetMetadataResp:
        result = self.future.result()
        return ttypes.TGetResultSetMetadataResp(
            status=OK,
            schema=ttypes.TTableSchema([column(place, field) for place, field in enumerate(result.table.schema)]),
            resultFormat=getattr(ttypes.TSparkRowSetType, "URL_BASED_SET" if self.linked() else "ARROW_BASED_SET"),
            lz4Compressed=self.compress,
            arrowSchema=result.table.schema.serialize().to_pybytes(),
            isStagingOperation=result.staging,
        )

    def fetch(self, rows: int) -> ttypes.TFetchResultsResp:
        """The next rows, at most so many."""
        table = self.future.result().table
        start, self.read = self.read, min(self.read + rows, table.num_rows)
        if self.linked():
            part = table.slice(start, self.read - start)
            return ttypes.TFetchResultsResp(
                status=OK,
                hasMoreRows=self.read < table.num_rows,
                results=ttypes.TRowSet(
                    startRowOffset=start, rows=[], resultLinks=[self.links.link(part, start, self.compress, self.fault)]
                ),
                resultSetMetadata=self.metadata(),
            )
        batches = []
        for batch in table.slice(start, self.read - start).combine_chunks().to_batches():
            data = batch.serialize().to_pybytes()
            batches.append(ttypes.TSparkArrowBatch(lz4.frame.compress(data) if self.compress else data, batch.num_rows))
        return ttypes.TFetchResultsResp(
            status=OK,
            hasMoreRows=self.read < table.num_rows,
            results=ttypes.TRowSet(startRowOffset=start, rows=[], arrowBatches=batches),
            resultSetMetadata=self.metadata(),
        )


def column(place: int, field: pa.Field) -> ttypes.TColumnDesc:
    """A column as Thrift describes it."""
    kind = next((name for fits, name in TYPES if fits(field.type)), "STRING")
    entry = ttypes.TPrimitiveTypeEntry(type=getattr(ttypes.TTypeId, f"{kind}_TYPE"))
    if kind == "DECIMAL":
        numbers = {"precision": field.type.precision, "scale": field.type.scale}
        entry.typeQualifiers = ttypes.TTypeQualifiers(
            {name: ttypes.TTypeQualifierValue(i32Value=number) for name, number in numbers.items()}
        )
    described = ttypes.TTypeDesc([ttypes.TTypeEntry(primitiveEntry=entry)])
    return ttypes.TColumnDesc(columnName=field.name, typeDesc=described, position=place + 1)


class Links:
    """Results that wait in the storage to be fetched: each once, by the address that was given out."""

    def __init__(self) -> None:
        self.storage = ""
        self._kept: dict[str, bytes] = {}

    def link(self, rows: pa.Table, start: int, compress: bool, fault: Fault | None) -> ttypes.TSparkArrowResultLink:
        """Keep rows, and say where."""
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, rows.schema) as writer:
            writer.write_table(rows)
        data = stream.getvalue().to_pybytes()
        key = secrets.token_hex(16)
        kind = fault.kind if fault else ""
        if kind != "link_refused" and not (kind == "later_link_refused" and start):
            self._kept[key] = lz4.frame.compress(data) if compress else data
        life = -60 if kind == "link_expired" else 900
        return ttypes.TSparkArrowResultLink(
            fileLink=f"{self.storage}{RESULTS}{key}?signature=secret",
            expiryTime=int(time.time()) + life,
            startRowOffset=start,
            rowCount=rows.num_rows,
            bytesNum=len(data),
            httpHeaders={},
        )

    def fetched(self, key: str) -> bytes:
        """What waits under a key. Raises `Answered` where there is nothing for whoever asks."""
        if key not in self._kept:
            raise Answered(403, "AuthorizationFailure: This request is not authorized to perform this operation.")
        return self._kept.pop(key)


class Open:
    """An open session: its Spark session, its own thread, and its operations."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.thread = ThreadPoolExecutor(1)
        self.operations: dict[bytes, Operation] = {}


class StandIn:
    """What the requests share."""

    def __init__(self, engine: Engine, token: str) -> None:
        self.engine = engine
        self.token = token
        self.url = ""
        self.faults = Faults()
        self.links = Links()
        self.opened: dict[bytes, Open] = {}
        self.signature = secrets.token_hex(16)
        self.slow_upload: Fault | None = None
        self.statements: list[dict[str, Any]] = []
        self.asked = time.monotonic()

    def run(
        self, opened: Open, number: str, group: str, text: str, values: list[Parameter], fault: Fault | None
    ) -> Result:
        """Run a statement that met a fault, or none. Raises Failed."""
        began = time.monotonic()
        kind = fault.kind if fault else ""
        try:
            if kind in FAILURES:
                raise Failed(*FAILURES[kind])
            if kind == "slips_in":
                return opened.session.insert_late(text, values, lambda: self.linger(fault))
            if kind == "slow":
                self.linger(fault)
            if kind == "slow_storage":
                self.slow_upload = fault
            if kind == "die_before":
                os._exit(1)
            result = opened.session.run(text, values, group, f"{self.url}{VOLUMES}{self.signature}")
            if kind == "die_after":
                os._exit(1)
            result = uncounted(result, kind)
        except Failed:
            raise
        except Exception as error:  # whatever it is, the client must hear of it
            raise failure(error) from error
        else:
            return result
        finally:
            milliseconds = round((time.monotonic() - began) * 1000, 1)
            self.statements.append({"session": number, "text": text[:200], "milliseconds": milliseconds})

    def linger(self, fault: Fault | None) -> None:
        self.faults.linger(fault.seconds if fault else 0.0)

    def counted(self) -> dict[str, Any]:
        """The statements that ran, in all and by session."""
        ran = list(self.statements)
        sessions: dict[str, int] = {}
        for statement in ran:
            sessions[statement["session"]] = sessions.get(statement["session"], 0) + 1
        return {"count": len(ran), "sessions": sessions, "statements": ran}


def uncounted(result: Result, kind: str) -> Result:
    """A result with what a fault of this kind leaves of its counts."""
    tables = {"uncounted": result.table, "unreported": pa.table({}), "unknown": pa.table({"num_affected_rows": [-1]})}
    return replace(result, modified=None, table=tables[kind]) if kind in tables else result


def meet(fault: Fault | None) -> None:
    """Raises `Answered` for a fault that HTTP tells of."""
    after = str(int(fault.seconds)) if fault else ""
    if fault and fault.kind == "unavailable":
        raise Answered(503, "Service Unavailable", Retry_After=after)
    if fault and fault.kind == "too_many":
        raise Answered(429, "Too Many Requests", Retry_After=after)
    if fault and fault.kind == "starting":
        raise Answered(503, "TEMPORARILY_UNAVAILABLE: The warehouse is starting.", Retry_After=after)


class Calls:
    """The calls of the Thrift service, for one request. What `http` holds at its end is answered instead.

    Where `lost` is true nothing is answered at all.
    """

    def __init__(self, stand_in: StandIn, principal: str) -> None:
        self.stand_in = stand_in
        self.principal = principal
        self.http: Answered | None = None
        self.lost = False

    def OpenSession(self, request: Any) -> Any:  # noqa: N802
        identity = uuid.uuid4().bytes
        space = request.initialNamespace
        fault = self.stand_in.faults.strike_opening()
        if fault and fault.kind == "no_thrift":
            return ttypes.TOpenSessionResp(status=wrong(Failed(NO_THRIFT, "KP001")), serverProtocolVersion=0)
        try:
            meet(fault)
            opened = Open(
                self.stand_in.engine.session(
                    space and space.catalogName,
                    space and space.schemaName,
                    request.configuration or {},
                    self.principal,
                )
            )
        except Answered as answered:
            self.http = answered
            return None
        except (PySparkException, Py4JJavaError, Refused) as error:
            return ttypes.TOpenSessionResp(status=wrong(failure(error)), serverProtocolVersion=0)
        self.stand_in.opened[identity] = opened
        return ttypes.TOpenSessionResp(
            status=OK,
            serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7,
            sessionHandle=ttypes.TSessionHandle(ttypes.THandleIdentifier(identity, identity)),
            configuration={},
            initialNamespace=ttypes.TNamespace(
                (space and space.catalogName) or CATALOG, (space and space.schemaName) or "default"
            ),
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, request: Any) -> Any:  # noqa: N802
        opened = self.stand_in.opened.pop(request.sessionHandle.sessionId.guid, None)
        if opened is None:
            return ttypes.TCloseSessionResp(status=no_session(request.sessionHandle))
        opened.thread.shutdown(wait=False)
        return ttypes.TCloseSessionResp(status=OK)

    def ExecuteStatement(self, request: Any) -> Any:  # noqa: N802
        identity = request.sessionHandle.sessionId.guid
        opened = self.stand_in.opened.get(identity)
        fault = self.stand_in.faults.strike(request.statement)
        if fault and fault.kind == "lost_session":
            self.stand_in.opened.pop(identity, None)
            opened = None
        if opened is None:
            return ttypes.TExecuteStatementResp(status=no_session(request.sessionHandle))
        try:
            meet(fault)
        except Answered as answered:
            self.http = answered
            return None
        guid = uuid.uuid4().bytes
        values = [
            Parameter(None if each.ordinal else each.name, each.type, each.value.stringValue if each.value else None)
            for each in request.parameters or []
        ]
        number = str(uuid.UUID(bytes=identity))
        future = opened.thread.submit(self.stand_in.run, opened, number, guid.hex(), request.statement, values, fault)
        operation = opened.operations[guid] = Operation(
            future, bool(request.canDecompressLZ4Result), bool(request.canDownloadResult), fault, self.stand_in.links
        )
        if fault and fault.kind == "lost_answer":
            wait([future])
            self.lost = True
        response = ttypes.TExecuteStatementResp(
            status=OK,
            operationHandle=ttypes.TOperationHandle(
                ttypes.THandleIdentifier(guid, guid), ttypes.TOperationType.EXECUTE_STATEMENT, True
            ),
        )
        if request.getDirectResults:
            status = operation.status()
            response.directResults = direct = ttypes.TSparkDirectResults(operationStatus=status)
            if status.operationState == State.FINISHED_STATE:
                direct.resultSetMetadata = operation.metadata()
                direct.resultSet = operation.fetch(request.getDirectResults.maxRows)
            if status.operationState == State.ERROR_STATE or (direct.resultSet and not direct.resultSet.hasMoreRows):
                direct.closeOperation = ttypes.TCloseOperationResp(status=OK)
                del opened.operations[guid]
        return response

    def _operation(self, handle: Any) -> Operation | None:
        guid = handle.operationId.guid
        return next(
            (each.operations[guid] for each in list(self.stand_in.opened.values()) if guid in each.operations), None
        )

    def GetOperationStatus(self, request: Any) -> Any:  # noqa: N802
        operation = self._operation(request.operationHandle)
        return operation.status() if operation else ttypes.TGetOperationStatusResp(status=no_operation())

    def GetResultSetMetadata(self, request: Any) -> Any:  # noqa: N802
        operation = self._operation(request.operationHandle)
        return operation.metadata() if operation else ttypes.TGetResultSetMetadataResp(status=no_operation())

    def FetchResults(self, request: Any) -> Any:  # noqa: N802
        operation = self._operation(request.operationHandle)
        return operation.fetch(request.maxRows) if operation else ttypes.TFetchResultsResp(status=no_operation())

    def CancelOperation(self, request: Any) -> Any:  # noqa: N802
        self.stand_in.engine.cancel(request.operationHandle.operationId.guid.hex(), "by its client")
        return ttypes.TCancelOperationResp(status=OK)

    def CloseOperation(self, request: Any) -> Any:  # noqa: N802
        for opened in list(self.stand_in.opened.values()):
            opened.operations.pop(request.operationHandle.operationId.guid, None)
        return ttypes.TCloseOperationResp(status=OK)


def wrong(failed: Failed) -> ttypes.TStatus:
    return ttypes.TStatus(ttypes.TStatusCode.ERROR_STATUS, sqlState=failed.state, errorMessage=str(failed))


def no_session(handle: Any) -> ttypes.TStatus:
    told = f"Invalid SessionHandle: SessionHandle [{uuid.UUID(bytes=handle.sessionId.guid)}]"
    return ttypes.TStatus(ttypes.TStatusCode.INVALID_HANDLE_STATUS, sqlState="08003", errorMessage=told)


def no_operation() -> ttypes.TStatus:
    told = "Invalid OperationHandle"
    return ttypes.TStatus(ttypes.TStatusCode.INVALID_HANDLE_STATUS, sqlState="HY000", errorMessage=told)
