"""What the server of `forks` has loaded before it forks a child: all that commands load when they run."""

from importlib import import_module
from pathlib import Path

import handlers
from support import crash, forks

for _path in Path(handlers.__file__).parent.glob("[a-z]*.py"):
    import_module(f"handlers.{_path.stem}")
_ = crash, forks
