"""Who is said to have taken a drop back."""

import os
import pwd

import pytest

from dropledger.handlers.user import user


def test_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch):
    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert user() == f"uid {os.getuid()}"
