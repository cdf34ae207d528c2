"""The newest two checkpoints are kept, and a damaged one is passed over."""

import shutil
from pathlib import Path

import pytest

from foundations.checkpoints import (
    Checkpoint,
    clear_checkpoints,
    latest_checkpoint,
    save_checkpoint,
)
from foundations.errors import DamageError, OpenPruneError
from foundations.steps import Step
from tests.foundations.scenarios import weights


def _save(folder: Path, *steps: Step, value: float = 0.0) -> None:
    for step in steps:
        facts = {"losses": [0.1 + 0.2], "at": str(step), 9: 1, 10: None}
        save_checkpoint(folder, Checkpoint(step, weights(value), facts))


def _latest(folder: Path) -> Step | None:
    """The newest checkpoint, where none is damaged."""
    found = latest_checkpoint(folder, pytest.fail)
    return None if found is None else found.step


def _folders(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def test_tensors_and_facts_come_back(tmp_path: Path) -> None:
    """To the last bit; keys of facts are texts, as JSON has them."""
    _save(tmp_path, Step(3, 20), value=0.7)
    found = latest_checkpoint(tmp_path, pytest.fail)
    assert found is not None
    assert found.step == Step(3, 20)
    assert found.tensors["fc.bias"].equal(weights(0.7)["fc.bias"])
    assert found.facts == {"losses": [0.1 + 0.2], "at": "3ep20it", "9": 1, "10": None}


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    """By the order of training, not of names."""
    _save(tmp_path, Step(0, 9), Step(0, 10), Step(9), Step(10))
    assert _folders(tmp_path) == {"ep9_it0", "ep10_it0"}
    assert _latest(tmp_path) == Step(10)


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    """The run begins at its start."""
    assert _latest(tmp_path) is None
    assert _latest(tmp_path / "nothing") is None


@pytest.mark.parametrize("name", ["state.safetensors", "checkpoint.json"])
def test_a_checkpoint_cut_short_falls_back_to_the_one_before(tmp_path: Path, name: str) -> None:
    """And says which file, and where it continues."""
    _save(tmp_path, Step(1), Step(2))
    _cut(tmp_path / "ep2_it0" / name)
    told: list[str] = []
    found = latest_checkpoint(tmp_path, told.append)
    assert found is not None
    assert found.step == Step(1)
    assert len(told) == 1
    assert str(tmp_path / "ep2_it0" / name) in told[0]
    assert "1ep" in told[0]


def test_a_missing_tensor_file_falls_back_too(tmp_path: Path) -> None:
    """Somebody deleted it."""
    _save(tmp_path, Step(1), Step(2))
    (tmp_path / "ep2_it0/state.safetensors").unlink()
    found = latest_checkpoint(tmp_path, lambda _: None)
    assert found is not None
    assert found.step == Step(1)


def test_edited_facts_are_damage(tmp_path: Path) -> None:
    """They decide what is computed as much as the tensors do."""
    _save(tmp_path, Step(1))
    path = tmp_path / "ep1_it0/checkpoint.json"
    path.write_text(path.read_text().replace("1ep", "2ep"))
    with pytest.raises(DamageError, match="facts"):
        latest_checkpoint(tmp_path, pytest.fail)


def test_where_all_are_damaged_the_error_names_them_and_what_to_do(tmp_path: Path) -> None:
    """Nothing is started over without a word."""
    _save(tmp_path, Step(1), Step(2))
    for place in ("ep1_it0", "ep2_it0"):
        _cut(tmp_path / place / "state.safetensors")
    with pytest.raises(DamageError) as caught:
        latest_checkpoint(tmp_path, pytest.fail)
    message = str(caught.value)
    assert all(part in message for part in ("ep1_it0", "ep2_it0", f"Delete {tmp_path}"))


def test_what_is_damaged_is_replaced_on_the_way_and_never_kept_instead(tmp_path: Path) -> None:
    """After falling back, a checkpoint before the damaged one does not lose its place to it."""
    _save(tmp_path, Step(1), Step(4))
    _cut(tmp_path / "ep4_it0/state.safetensors")
    _save(tmp_path, Step(2))
    assert _folders(tmp_path) == {"ep1_it0", "ep2_it0"}
    _save(tmp_path, Step(4))
    assert _latest(tmp_path) == Step(4)
    assert _folders(tmp_path) == {"ep2_it0", "ep4_it0"}


def test_a_damaged_checkpoint_of_the_same_step_is_written_anew(tmp_path: Path) -> None:
    """A good one is kept as it is."""
    _save(tmp_path, Step(1), Step(2))
    _cut(tmp_path / "ep2_it0/state.safetensors")
    _save(tmp_path, Step(2))
    assert _latest(tmp_path) == Step(2)
    written = (tmp_path / "ep2_it0/checkpoint.json").stat().st_mtime_ns
    _save(tmp_path, Step(2))
    assert (tmp_path / "ep2_it0/checkpoint.json").stat().st_mtime_ns == written


def test_a_half_made_checkpoint_is_none(tmp_path: Path) -> None:
    """Nor is a folder of another name."""
    _save(tmp_path, Step(1))
    shutil.copytree(tmp_path / "ep1_it0", tmp_path / "backup")
    shutil.copytree(tmp_path / "ep1_it0", tmp_path / "ep2_it0")
    (tmp_path / "ep2_it0/checkpoint.json").unlink()
    assert _latest(tmp_path) == Step(1)


def test_a_full_disk_loses_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new one fails with a clear message, the old ones stay."""
    import errno
    import os

    _save(tmp_path, Step(1), Step(2))

    def write(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OpenPruneError, match="no space"):
        _save(tmp_path, Step(3))
    monkeypatch.undo()
    assert _latest(tmp_path) == Step(2)


def test_clearing_leaves_nothing(tmp_path: Path) -> None:
    """Also where there was nothing."""
    _save(tmp_path / "checkpoint", Step(1), Step(2))
    for _ in range(2):
        clear_checkpoints(tmp_path / "checkpoint")
        assert list(tmp_path.iterdir()) == []
