"""What the server of `forks` has loaded before it forks a child: all that commands load when they run."""

from importlib import import_module
from pathlib import Path

import dropledger
from support import crash, forks

_ROOT = Path(dropledger.__file__).parent
for _path in (_ROOT / "handlers").rglob("[a-z]*.py"):
    import_module(".".join(("dropledger", *_path.relative_to(_ROOT).with_suffix("").parts)))
_ = crash, forks
