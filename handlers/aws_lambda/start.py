"""Where Lambda begins: its handler is that of `function`, or an error that says why the package has none."""

import platform
from pathlib import Path

__all__ = ["handler"]

_BUILT_FOR = Path(__file__).parents[3] / "built_for"  # `make build-Function` writes it
_AS_IN_THE_TEMPLATE = {"aarch64": "arm64"}


def _refuse_other_processor() -> None:
    """Stop where the package is for another kind of processor, of which Python says that some module is not there."""
    here = _AS_IN_THE_TEMPLATE.get(platform.machine(), platform.machine())
    built_for = _BUILT_FOR.read_text(encoding="utf-8").strip() if _BUILT_FOR.is_file() else here
    if built_for != here:
        raise ImportError(
            f"the package was built for {built_for}, and the function runs on {here}. "
            f"Try: deploy with Architecture={built_for}, or build with ARCHITECTURE={here}"
        )


try:
    from dropledger.handlers.aws_lambda.function import handler
except ImportError:
    _refuse_other_processor()
    raise
