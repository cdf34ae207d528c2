"""Kill -9 at every moment of every kind of writing leaves what was before or what comes after."""

import shutil
from itertools import count
from pathlib import Path

import pytest

from tests.foundations.kills import exit_code, killed_at
from tests.foundations.scenarios import SCENARIOS, Scenario, directory, write_in_place


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_killed_deed_has_happened_or_has_not(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each call: one reads before or after, cleaning changes nothing, a second try works."""
    monkeypatch.setattr("os.fsync", lambda _: None)  # here nobody is killed
    scenario = SCENARIOS[name]
    scenario.before(directory(tmp_path / "before"))
    (tmp_path / "before").mkdir(exist_ok=True)
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    assert exit_code(_do, name, tmp_path / "after") == 0
    allowed = [_read(tmp_path / "before", scenario), _read(tmp_path / "after", scenario)]
    allowed += scenario.between
    found = []
    for call in count(1):
        root = tmp_path / f"killed_at_{call}"
        shutil.copytree(tmp_path / "before", root)
        if not killed_at(call, _do, name, root):
            break
        found.append(scenario.read(directory(root)))
        assert found[-1] in allowed, call
        _claim_and_release(root)
        assert _parts(root) == [], call
        assert scenario.read(directory(root)) == found[-1], call
        scenario.deed(directory(root))
        assert scenario.read(directory(root)) == allowed[1], call
        shutil.rmtree(root)
    assert len(found) >= 5 or name == "state, same again"
    if name != "state, same again":
        assert found[0] == allowed[0]


def _do(name: str, root: Path) -> None:
    SCENARIOS[name].deed(directory(root))


def _read(root: Path, scenario: Scenario) -> object:
    """What a reader finds, in a copy: looking at a claim takes it."""
    copy = root.with_name(root.name + "_read")
    shutil.copytree(root, copy)
    return scenario.read(directory(copy))


def _claim_and_release(root: Path) -> None:
    claim = directory(root).claim()
    assert claim is not None
    claim.release()


def _parts(root: Path) -> list[Path]:
    """What is left half-written; a claim leaves what may be a living contender's."""
    found = [path for path in root.rglob("*") if path.name.endswith(".part")]
    return [path for path in found if "claim" not in path.parts]


def test_the_method_finds_a_file_that_is_written_in_place(tmp_path: Path) -> None:
    """The control: without care, some moment leaves neither the old text nor the new one."""
    path = tmp_path / "file"
    found = set()
    for call in count(1):
        path.write_bytes(b"old text")
        if not killed_at(call, write_in_place, path, b"new text"):
            break
        found.add(path.read_bytes())
    assert found - {b"old text", b"new text"}
