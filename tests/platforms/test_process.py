"""A process that trains is set up as its user says, and sensibly where he says nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from platforms.process import prepare

if TYPE_CHECKING:
    import pytest

NAMES = ("GOMP_SPINCOUNT", "TORCHINDUCTOR_CACHE_DIR")


def test_what_is_not_said_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads spin for a while, and compiled code is kept among the user's caches."""
    for name in (*NAMES, "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    prepare()
    assert int(os.environ["GOMP_SPINCOUNT"]) > 0
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"].endswith("compiled")
    for name in NAMES:
        monkeypatch.delenv(name)


def test_what_the_user_says_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that are set are left as they are."""
    for name in NAMES:
        monkeypatch.setenv(name, "7")
    prepare()
    assert [os.environ[name] for name in NAMES] == ["7", "7"]
