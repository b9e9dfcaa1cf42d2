"""YAML for people to read and go on with."""

from decimal import Decimal
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes short collections on a line, and decimals with all their digits."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (people write out what comes twice)
        return True


def _decimal(dumper: yaml.SafeDumper, number: Decimal) -> yaml.ScalarNode:
    text = format(number, "f")
    kind = "float" if "." in text else "int"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", text)


_Dumper.add_representer(Decimal, _decimal)


def yaml_text(document: dict[str, Any]) -> str:
    """A document as YAML, its entries in their order."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
    )
    return text
