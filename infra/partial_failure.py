"""Why files stay where they lie: kept while the others are taken, and told last."""

from dropledger.core.errors import Busy, ConfigurationError, DropledgerError, Unavailable
from dropledger.core.ledger.fault import as_refusal, meets_one_file


class Failures:
    """What is known of files that could not be taken, by their addresses."""

    def __init__(self) -> None:
        self._found: dict[str, DropledgerError] = {}

    def add(self, uri: str, error: Exception) -> None:
        """Remember why a file cannot be taken from where it lies.

        Raises:
            Exception: the error itself, where it would keep the other files too.
        """
        found: DropledgerError
        match error:
            case Busy():
                found = Unavailable(f"{uri} cannot be taken", why="it changes while it is copied", hint=error.hint)
            case ConfigurationError():
                found = Unavailable(f"{uri} cannot be read", why=error.why or error.what, hint=error.hint)
            case PermissionError():
                hint = "let this user read it, and take it out of its folder; the other files are not kept by it"
                found = Unavailable(f"{uri} cannot be taken", why=str(error), hint=hint)
            case _ if meets_one_file(error):
                found = as_refusal(f"{uri} cannot be taken", error)
            case _:
                raise error
        found.__cause__ = error
        self._found[uri] = found

    def forget(self) -> None:
        """Begin anew: what was not told was of an attempt that counts no more."""
        self._found.clear()

    def summary(self) -> DropledgerError | None:
        """The one to see to first, which says how many others there are, and forget them; None where there are none."""
        found = sorted(self._found.items(), key=lambda refusal: (refusal[1].exit_code, refusal[0]))
        self.forget()
        if not found:
            return None
        first = found[0][1]
        if len(found) > 1:
            first.why += f"; and so cannot {len(found) - 1} others"
        return first
