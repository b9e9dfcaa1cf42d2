"""Who runs this program, for the ledger to keep."""

import os


def user() -> str:
    """The name of who runs this, or where the machine has none for them, their number."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # as in a container that runs as a user of outside
        return f"uid {os.getuid()}"
