"""Kill -9 at any moment of keeping a network: it is there, whole, or it is not there."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
import torch

from models.portable.saved import known, load_compacted
from tests.foundations.kills import exit_code, killed_at
from tests.models.portable.keeping import keep, kept

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_network_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    """At each call that changes files; the same again then leaves what an undisturbed one does."""
    assert exit_code(keep, tmp_path / "undisturbed") == 0
    expected = _contents(tmp_path / "undisturbed")
    x = torch.ones(1, 3)
    for call in count(1):
        folder = tmp_path / str(call)
        if not killed_at(call, keep, folder):
            break
        if known(folder, whole=True) is not None:
            assert torch.equal(load_compacted(folder)(x), kept()(x))
        keep(folder)
        assert _contents(folder) == expected
    assert call > 5


def _contents(folder: Path) -> dict[str, bytes]:
    """Of the files that have a name of their own."""
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    return {path.name: path.read_bytes() for path in files}
