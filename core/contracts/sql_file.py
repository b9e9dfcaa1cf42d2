"""The SQL files of a pipeline, and where in them an engine finds a fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropledger.core.errors import ContractError, PipelineError


@contextmanager
def faults_by_line(path: Path) -> Iterator[None]:
    """Tell what is wrong with a statement by the file that it lies in, and the line.

    Raises:
        ContractError: the statement does not work.
    """
    try:
        yield
    except PipelineError as error:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        wrong = error.line.strip()
        number = lines.index(wrong) + 1 if wrong in lines else 1
        reason = error.why.partition(" LINE ")[0] or error.what
        hint = "correct the SQL; dropledger check compiles all of it"
        raise ContractError(path, number, reason, hint=hint) from error
