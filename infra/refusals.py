"""Why files stay where they lie: kept while the others are taken, and told last."""

from core.errors import Busy, DropledgerError, Unavailable


class Refusals:
    """What is known of files that could not be taken, by their addresses."""

    def __init__(self) -> None:
        self._found: dict[str, Unavailable] = {}

    def note(self, uri: str, error: PermissionError | DropledgerError) -> None:
        """Remember why a file cannot be taken from where it lies."""
        match error:
            case Busy():
                found = Unavailable(f"{uri} cannot be taken", why="it changes while it is copied", hint=error.hint)
            case DropledgerError():
                found = Unavailable(f"{uri} cannot be read", why=error.why, hint=error.hint)
            case _:
                hint = "let this user read it, and take it out of its folder; the other files are not kept by it"
                found = Unavailable(f"{uri} cannot be taken", why=str(error), hint=hint)
        self._found[uri] = found

    def forget(self) -> None:
        """Begin anew: what was not told was of an attempt that counts no more."""
        self._found.clear()

    def told(self) -> Unavailable | None:
        """The first by name, which says how many others there are, and forget them; None where there are none."""
        found = [self._found[uri] for uri in sorted(self._found)]
        self.forget()
        if len(found) > 1:
            found[0].why += f"; and so cannot {len(found) - 1} others"
        return found[0] if found else None
