"""``clean``: shown first, removed when asked for, and never from under a worker."""

from __future__ import annotations

import errno
import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

import open_prune
from foundations.claims import Claim
from foundations.owners import Owner
from foundations.run_directory import RunDirectory
from tests.commands.conftest import DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli


@pytest.fixture
def littered(done: Path) -> Path:
    """A root with one piece of litter of each kind."""
    dense, pruned = done / DENSE / "replicate_1", done / PRUNED / "replicate_1"
    (dense / "checkpoint/ep1_it0").mkdir(parents=True)
    (dense / "checkpoint/ep1_it0/checkpoint.json").write_text("{}")
    (dense / "checkpoint/ep1_it0/state.safetensors").write_bytes(b"x" * 2000)
    (dense / "states/ep1_it0").mkdir()
    (dense / "states/ep1_it0/model.safetensors").write_bytes(b"y" * 500)
    (dense / ".metrics.csv.12.ab.part").write_bytes(b"z" * 300)
    (dense / "replayed/ep1_it0").mkdir(parents=True)
    (dense / "replayed/ep1_it0/state.json").write_text("{}")
    dead = Owner.me().to_json() | {"pid": 2**22 - 1, "started": 1.0}
    number = max((int(path.name) for path in (pruned / "claim").iterdir()), default=0) + 1
    (pruned / f"claim/{number}").mkdir(parents=True)
    (pruned / f"claim/{number}/owner.json").write_text(json.dumps(dead))
    new = done / DENSE / "replicate_7"
    new.mkdir()
    (new / "hparams.json").write_bytes((dense / "hparams.json").read_bytes())
    return done


def _files(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_it_shows_and_touches_nothing(cli: Cli, littered: Path) -> None:
    """Sizes and reasons; what is left alone by default is shown when it is named."""
    before = _files(littered)
    told = cli("clean")
    assert (told.code, told.err) == (0, "")
    rows = {row[1]: row[2:] for row in told.rows[1:-2]}
    assert rows["checkpoints: checkpoint"] == ["2.0 kB", "the run is done"]
    assert rows["parts: .metrics.csv.12.ab.part"] == ["300 bytes", "its writer was killed"]
    assert rows["states: states/ep1_it0"][0] == "500 bytes"
    assert "is dead" in rows["claims: claim"][1]
    assert len(rows) == 4
    assert told.out.endswith("can be removed: --yes removes them.\n")
    more = cli("clean", "--only=runs,replayed")
    assert {row[1] for row in more.rows[1:-2]} == {"runs: all of it", "replayed: replayed"}
    assert _files(littered) == before


def test_it_removes_what_it_shows(cli: Cli, littered: Path) -> None:
    """And nothing else: what was done is whole, and a second time there is nothing."""
    gone = {"checkpoint/ep1_it0", "states/ep1_it0", ".metrics.csv.12.ab.part"}
    kept = {path for path in _files(littered) if not any(part in str(path) for part in gone)}
    told = cli("clean", "--yes")
    assert told.code == 0
    assert told.out.endswith("were removed.\n")
    now = set(_files(littered))
    assert {path for path in kept if "claim" not in path.parts} <= now
    assert not any(part in str(path) for part in gone for path in now)
    assert cli("clean").out.startswith("There is nothing to remove")
    assert cli(*TRAIN).out.startswith(f"{DENSE} replicate 1 is done already.")
    assert cli("clean", "--yes", "--only=runs,replayed").code == 0
    assert not (littered / DENSE / "replicate_7").exists()
    assert not (littered / DENSE / "replicate_1/replayed").exists()
    for name in (DENSE, PRUNED):
        open_prune.open_run(name, 1).directory.verify()


def test_only_one_kind(cli: Cli, littered: Path) -> None:
    """The others stay, though the run is claimed for it."""
    assert cli("clean", "--only=parts", "--yes").code == 0
    dense = littered / DENSE / "replicate_1"
    assert not list(dense.glob(".*.part"))
    assert (dense / "checkpoint/ep1_it0/checkpoint.json").exists()
    assert (dense / "states/ep1_it0").exists()


def test_a_run_that_somebody_works_on(cli: Cli, littered: Path) -> None:
    """Nothing of it is shown as litter, nothing is removed, and it says so."""
    dense = littered / DENSE / "replicate_1"
    with Claim.acquire(dense) or pytest.fail("it is free"):
        before = _files(dense)
        told = cli("clean", "--yes", "--only=checkpoints,parts,states,claims,replayed,runs")
        assert f"{DENSE}/replicate_1 is left alone: somebody works on it." in told.out
        assert set(_files(dense)) == set(before)
    assert not (littered / DENSE / "replicate_7").exists()


def test_checkpoints_of_runs_that_go_on(cli: Cli, littered: Path) -> None:
    """A run that is not done needs its checkpoint, and a failed one is not one that never began."""
    dense = littered / DENSE / "replicate_1"
    os.remove(dense / "done.json")  # noqa: PTH107 - as a killed worker leaves it
    failed = littered / DENSE / "replicate_7/failed.json"
    failed.write_text(json.dumps({"reason": "its loss is nan"}))
    assert cli("clean", "--yes", "--only=checkpoints,runs").code == 0
    assert (dense / "checkpoint/ep1_it0/checkpoint.json").exists()
    assert failed.exists()


@pytest.mark.parametrize("left", ["checkpoint", "metrics.csv", "digests.csv"])
def test_a_run_that_has_lost_its_start(cli: Cli, littered: Path, left: str) -> None:
    """What it has beside its description tells that it has begun, whatever else is gone."""
    dense = littered / DENSE / "replicate_1"
    for path in dense.iterdir():
        if path.name not in ("hparams.json", "checkpoint", left):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if left != "checkpoint":
        shutil.rmtree(dense / "checkpoint")
    assert cli("clean", "--yes", "--only=runs").code == 0
    assert (dense / left).exists()
    assert not (littered / DENSE / "replicate_7").exists()


def test_what_links_lead_to(cli: Cli, littered: Path, tmp_path: Path) -> None:
    """It may be needed elsewhere: neither it nor the link is touched."""
    run, elsewhere = littered / DENSE / "replicate_7", tmp_path / "elsewhere"
    run.rename(elsewhere)
    run.symlink_to(elsewhere)
    checkpoint = littered / PRUNED / "replicate_1/checkpoint"
    (tmp_path / "kept/ep1_it0").mkdir(parents=True)
    (tmp_path / "kept/ep1_it0/checkpoint.json").write_text("{}")
    checkpoint.symlink_to(tmp_path / "kept")
    told = cli("clean", "--yes", "--only=runs,checkpoints,replayed")
    assert "left alone" not in told.out
    assert run.is_symlink()
    assert (elsewhere / "hparams.json").exists()
    assert (checkpoint / "ep1_it0/checkpoint.json").exists()


def test_a_run_that_is_cleaned_away_as_it_begins(
    cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker had written what it is, and comes to its claim afterwards: it is written again."""
    claim = RunDirectory.claim

    def late(run: RunDirectory, **options: object) -> Claim | None:
        shutil.rmtree(run.path)
        return claim(run, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(RunDirectory, "claim", late)
    assert cli(*TRAIN).code == 0
    assert (root / DENSE / "replicate_1/hparams.json").exists()
    open_prune.open_run(DENSE).directory.verify()


def test_claims_that_cannot_be_read(
    cli: Cli, littered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether somebody works on the run is not known: it is left alone, the others are cleaned."""
    claims, listdir = littered / PRUNED / "replicate_1/claim", os.listdir

    def refused(path: Path) -> list[str]:
        if path == claims:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refused)
    told = cli("clean", "--yes")
    assert f"replicate_1 is left alone: {claims} cannot be read (Permission denied)." in told.out
    assert not (littered / DENSE / "replicate_1/checkpoint").exists()


def test_a_seal_that_is_damaged(cli: Cli, littered: Path) -> None:
    """Whether the run is done is not known: its checkpoint stays, and the others are cleaned."""
    dense = littered / DENSE / "replicate_1"
    (dense / "done.json").write_text("{")
    told = cli("clean", "--yes", "--only=checkpoints")
    assert told.out.startswith("Nothing was removed (checkpoints).")
    assert "replicate_1 is left alone:" in told.out
    assert "done.json is damaged" in told.out
    assert (dense / "checkpoint/ep1_it0/checkpoint.json").exists()


def test_mistakes(cli: Cli, root: Path) -> None:
    """An unknown kind, or none; and no runs at all."""
    told = cli("clean", "--only=weights")
    assert told.code == 2
    assert "checkpoints" in told.err
    assert "name some of checkpoints, parts" in cli("clean", "--only=").err
    assert cli("clean").out.startswith("There is nothing to remove")
