"""Who writes to a schema, and what is not complete yet: exactly once, in an engine without transactions over tables.

The table `writer` has one row. Whoever writes puts his name into it first (`holder`, until a moment), so that there is
one at a time. Before a change first writes, the version that each table has then is noted in `changed`; when
all is done the note is cleared, in one statement, which is the commit. If the holder dies before that, whoever comes
next finds the note and restores those versions. Each of these steps can be done twice, and ends the same.

A statement of the dead one may still run, or wait to. Three things keep it from doing harm:

- Each holder has a schema of its own for what is on its way, which goes before anything is restored: what begins later
  has nothing to read, as every statement that changes rows reads from there, if only the view `held`. (RESTORE and the
  making of views cannot.)
- Before a table is restored a property of it is changed, after which Delta refuses what began to write to it earlier.
- Where it does not, the table's own history tells: a write that had read a version from before that change is none of
  its successor's, whose change is then undone and made anew.

Who finds the table `writer` as it left it knows that nobody has written since, and need not look at everything anew.

And who was only thought dead, having slept, restores nothing before it has made sure that the hold is still its own.

So what people read may be of a change that is not complete; the view `complete_drop` has the drops that are.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from dropledger.core.errors import Busy, ConfigurationError, Conflict, DropledgerError
from dropledger.core.retry import OnWait, retry_while_busy
from dropledger.infra.databricks.connection import Statements
from dropledger.infra.databricks.dialect import ticked
from dropledger.infra.databricks.errors import STATEMENT_SECONDS
from dropledger.infra.databricks.history import FENCE, late_version
from dropledger.infra.databricks.memory import Memory
from dropledger.infra.databricks.memory import seconds as _seconds
from dropledger.infra.databricks.schemas import drop_schema, drop_work, schemas_like, tables_of, versions_of
from dropledger.infra.local.file_lock import is_alive

HOLD_SECONDS = 2 * STATEMENT_SECONDS
"""How long the hold of a writer without a sign of life lasts, which is renewed before a statement might outlive it."""

_MARGIN_SECONDS = 60
_PAUSE_SECONDS = 2
_ENDED: set[str] = set()
"""The writers of this process that could not give back their hold, which is nobody's."""

_NOW = "CAST(current_timestamp() AS TIMESTAMP_NTZ)"
_UNTIL = f"{_NOW} + INTERVAL '{HOLD_SECONDS}' SECOND"


class Writer:
    """The hold that one process has on a schema, and its open change.

    `function` is the ARN of the one function of AWS Lambda that this process serves, if it does. Of such a function one
    call is at work at a time, so that a hold of its own is that of a call that was ended.
    """

    def __init__(
        self,
        statements: Statements,
        catalog: str,
        schema: str,
        wait_seconds: float,
        on_wait: OnWait,
        function: str = "",
        memory: Memory | None = None,
    ) -> None:
        self._statements = statements
        self._catalog = catalog
        self._name = schema
        self._schema = f"{ticked(catalog)}.{ticked(schema)}"
        self._table = f"{self._schema}.writer"
        self._wait_seconds = wait_seconds
        self._on_wait = on_wait
        self._token = uuid4().hex[:12]
        self._function = function
        who = f"function {function}" if function else f"process {os.getpid()} on {_machine()}"
        self._holder = f"{self._token} ({who})"
        self._renewed = 0.0
        self._before: str | None = None  # the holder of whom something may be left, that goes before anything is undone
        self._changed: dict[str, int | None] | None = None
        self._noted = False
        self._memory = memory or Memory()
        self._fenced: set[str] = set()

    @property
    def work(self) -> str:
        """The name of the holder's own schema."""
        return self._work_of(self._token)

    def _work_of(self, token: str) -> str:
        return f"{self._name}_work_{token}"

    @property
    def held(self) -> str:
        """The view of the holder's own schema whose one row says that the hold is still there, as `_held`."""
        return f"{ticked(self._catalog)}.{ticked(self.work)}.held"

    def prepare(self) -> None:
        """Make the table, if it is not there."""
        self._statements.run(
            f"""CREATE TABLE IF NOT EXISTS {self._table} (
                place BIGINT NOT NULL,
                holder STRING,
                until TIMESTAMP_NTZ,
                changed STRING,
                after_sequence BIGINT
            )"""
        )
        self._statements.run(
            f"""MERGE INTO {self._table} AS w
            USING (SELECT CAST(1 AS BIGINT) AS place) AS one
            ON w.place = one.place
            WHEN NOT MATCHED THEN INSERT (place) VALUES (one.place)"""
        )

    def take(self) -> None:
        """Become the writer, and undo what the one before has left open.

        Raises:
            Busy: another process writes, and did so for as long as one waits.
        """
        before = changed = None
        if not self._take_as_left():
            before, changed = retry_while_busy(self._try_to_take, self._wait_seconds, self._on_wait)
        self._renewed = _seconds()
        if before is not None:
            self._drop_work_of_the_dead(before)
        self._before = None
        if changed is not None:
            self._changed = json.loads(changed)
            self.undo()
        self._statements.run(f"CREATE SCHEMA {ticked(self._catalog)}.{ticked(self.work)}")
        self._statements.run(f"CREATE VIEW {self.held} AS SELECT TRUE AS _held")

    def _take_as_left(self) -> bool:
        """Become the writer if nobody has been it since this process was."""
        left, self._memory.left_at = self._memory.left_at, None
        if left is not None:
            taken = self._statements.run(
                f"""UPDATE {self._table} SET holder = :me, until = {_UNTIL}
                WHERE holder IS NULL AND changed IS NULL AND until = :left""",
                {"me": self._holder, "left": left},
            )
            if taken:
                return True
        self._memory.forget()
        return False

    def _try_to_take(self) -> tuple[str | None, str | None]:
        [found] = self._statements.rows(
            f"SELECT holder, changed, timestampdiff(SECOND, {_NOW}, until) AS seconds FROM {self._table}"
        )
        before, changed, seconds = found["holder"], found["changed"], found["seconds"]
        if before == self._holder:  # by a statement whose answer was lost
            return self._before, changed
        if before is None or seconds < 0 or _token_of(before) in _ENDED or self._is_dead(before):
            self._before = before
            taken = self._statements.run(
                f"""UPDATE {self._table} SET holder = :me, until = {_UNTIL}
                WHERE holder IS NOT DISTINCT FROM :before AND changed IS NOT DISTINCT FROM :changed""",
                {"me": self._holder, "before": before, "changed": changed},
            )
            if taken:
                return before, changed
        time.sleep(_PAUSE_SECONDS)  # each look is a query, which keeps the one that writes waiting
        raise Busy(
            f"the schema {self._schema} is written to",
            holder=before.partition(" ")[2].strip("()") if before else "another process",
            hint=f"try again when that process is done; if it has died, {HOLD_SECONDS // 60} minutes after its death",
            seconds=None if seconds is None else float(seconds),
        )

    def _is_dead(self, holder: str) -> bool:
        """Whether a writer was an earlier call of this function, or a process of this machine that has ended."""
        _, _, who = holder.partition(" (")
        if self._function:  # machines of Lambda are copies of each other, so that numbers of processes say nothing
            return who == f"function {self._function})"
        process, _, machine = who.removeprefix("process ").rstrip(")").partition(" on ")
        return machine == _machine() and process.isdecimal() and not is_alive(int(process))

    def _drop_work_of_the_dead(self, before: str) -> None:
        """Drop what dead writers had on their way; nothing of the holder `before` may be there any more.

        Raises:
            ConfigurationError: a schema is another principal's.
        """
        named = self._work_of(_token_of(before))
        left = schemas_like(self._statements, self._catalog, f"{self._name}_work_", r"[0-9a-f]{12}")
        for schema in sorted({named, *left}):
            with self._told_of_owners(schema):
                drop_work(self._statements, self._catalog, schema)
        if named not in left:  # one that cannot be seen is not dropped either, and not a word is said
            with self._told_of_owners(named):
                self._statements.run(f"CREATE SCHEMA {ticked(self._catalog)}.{ticked(named)}")
                drop_schema(self._statements, self._catalog, named)

    @contextmanager
    def _told_of_owners(self, schema: str) -> Iterator[None]:
        try:
            yield
        except ConfigurationError as error:
            raise ConfigurationError(
                f"the schema {schema}, which a process that died has left, cannot be dropped",
                why=error.why or error.what,
                hint="let its owner drop it; where several principals write, let a group own what they make "
                "(docs/databricks.md, Set up)",
            ) from error

    def leave(self) -> None:
        """Let others write. A holder before, of whom something may be left, is it again, and its time is over.

        Or the next to come would find nobody before it, and undo the change while that is still there.
        """
        left = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=HOLD_SECONDS)  # over by any clock
        try:
            drop_schema(self._statements, self._catalog, self.work)  # first: a statement may still wait to begin
            given = self._statements.run(
                f"UPDATE {self._table} SET holder = :before, until = :left WHERE holder = :me",
                {"before": self._before, "left": left, "me": self._holder},
            )
        except DropledgerError:  # so others wait until the hold is over
            _ENDED.add(self._token)
        else:
            self._memory.left_at = left if given and not self._changed and self._before is None else None

    def begin(self) -> None:
        """Open a change."""
        self.settle()
        self._changed = {}

    def settle(self) -> None:
        """Undo the change before, if that failed and could not be undone then: what is written next is none of it."""
        if self._changed:
            self.undo()

    def about_to_write(self, table: str) -> None:
        """Make sure that what the tables hold now can be restored, and that this is still the writer's turn."""
        if self._changed is not None and table not in self._changed:
            if table not in (self._memory.tables or ()):
                self._memory.tables = None
            # All tables at once, of which nearly all will be written to: a note costs far more than a look.
            self._changed = {**self._found_versions(), **self._changed}
            self._changed.setdefault(table, None)
            self._note(self._changed)
        self.keep()
        self._memory.written(table)

    def keep(self) -> None:
        """Renew the hold if the next statement might outlive it.

        Raises:
            Conflict: another process has become the writer.
        """
        if _seconds() - self._renewed > HOLD_SECONDS - STATEMENT_SECONDS - _MARGIN_SECONDS:
            self.renew()

    def renew(self) -> None:
        """Renew the hold.

        Raises:
            Conflict: another process has become the writer.
        """
        self._hold(
            self._statements.run(f"UPDATE {self._table} SET until = {_UNTIL} WHERE holder = :me", {"me": self._holder})
        )

    def _hold(self, held: int) -> None:
        """What an update of one's own row means, by the rows that it changed."""
        if not held:
            raise Conflict("another process has become the writer", hint="try again; what was open was undone")
        self._renewed = _seconds()

    def _found_versions(self) -> dict[str, int | None]:
        """A version of each table that has its rows of now."""
        memory = self._memory
        if memory.tables is None:
            memory.tables = set(tables_of(self._statements, self._schema))
        seen = {table: memory.version(table) for table in sorted(memory.tables)}
        unseen = [table for table, version in seen.items() if version is None]
        try:
            found, memory.histories_together = versions_of(
                self._statements, self._schema, unseen, together=memory.histories_together
            )
        except DropledgerError:  # as where a table is gone
            memory.forget()
            raise
        for table in unseen:
            memory.saw(table, found[table])
        return {**seen, **found}

    def _note(self, changed: dict[str, int | None] | None) -> None:
        given: dict[str, Any] = {"me": self._holder, "changed": json.dumps(changed) if changed else None}
        source, sequence = "SELECT TRUE AS _mine", "NULL"
        if changed is not None:
            sequence = "w.after_sequence"
            if changed.get("drop_ledger") is not None and not self._noted:
                source = f"SELECT coalesce(max(sequence), 0) AS place FROM {self._schema}.drop_ledger"
                sequence = "n.place"
                self._noted = True
        noted = self._statements.run(
            f"""MERGE INTO {self._table} AS w
            USING ({source}) AS n
            ON w.holder = :me
            WHEN MATCHED THEN UPDATE SET
                changed = :changed,
                after_sequence = {sequence},
                until = {_UNTIL}""",
            given,
        )
        self._hold(noted)

    def commit(self) -> None:
        """Close the change: what it wrote stays.

        Raises:
            Conflict: another process has become the writer, or a statement of one that died has written meanwhile.
        """
        if self._changed:
            self._refuse_late_writes(self._changed)
        self._close()

    def _close(self) -> None:
        if self._changed:
            self._note(None)
        self._changed, self._noted = None, False

    def _refuse_late_writes(self, changed: dict[str, int | None]) -> None:
        """Let the change go, and what was written late with it, where a table was written to past its fence."""
        noted = {table: version for table, version in changed.items() if table in self._fenced and version is not None}
        written = {
            table: late_version(self._statements.rows(f"DESCRIBE HISTORY {self._schema}.{ticked(table)}"), self._token)
            for table in noted
        }
        late = {table: min(noted[table], version - 1) for table, version in written.items() if version is not None}
        if not late:
            return
        changed.update(late)
        self._note(changed)
        raise Conflict(
            f"a statement of a process that died has written to {', '.join(sorted(late))}",
            hint="try again; what is open is undone before",
        )

    def undo(self) -> None:
        """Close the change: what it wrote goes.

        Raises:
            Conflict: another process has become the writer, and has done so.
        """
        if self._changed:
            self.renew()
            self._memory.forget()
        for table, version in (self._changed or {}).items():
            self.keep()
            name = f"{self._schema}.{ticked(table)}"
            if version is None:
                self._statements.run(f"DROP TABLE IF EXISTS {name}")
            else:
                self._statements.run(f"ALTER TABLE {name} SET TBLPROPERTIES ('{FENCE}' = '{self._token}')")
                self._statements.run(f"RESTORE TABLE {name} TO VERSION AS OF {version}")
                self._fenced.add(table)
        self._close()


def _token_of(holder: str) -> str:
    return holder.partition(" ")[0]


def _machine() -> str:
    """What this process runs on, since that last started; a container is a machine of its own."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts += [
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return f"{parts[0]} {sha256(' '.join(parts).encode()).hexdigest()[:8]}"
