"""``diff RUN RUN``: hyperparameters down the lineage, results, layers, places and weights."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.commands.conftest import BRANCH, DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli


def _json(cli: Cli, left: str, right: str) -> dict[str, object]:
    told = cli("diff", left, right, "--json")
    assert told.code == 0, told.err
    found: dict[str, object] = json.loads(told.out)
    return found


def test_a_run_and_its_branch(cli: Cli, done: Path) -> None:
    """What the branch adds, what it cut of each layer, and that its first weights are others."""
    found = _json(cli, DENSE, PRUNED)
    changes = found["hyperparameters"]
    assert isinstance(changes, list)
    assert changes == [{"where": "branch 1", "name": "kind", "values": [None, "oneshot"]}]
    assert found["layers"] == {
        "fc.weight": ["80 of 80", _kept(done, "fc.weight")],
        "fc_layers.0.weight": ["512 of 512", _kept(done, "fc_layers.0.weight")],
        "all": ["592 of 592", "118 of 592"],
    }
    weights = {"compared": 3, "equal": 0, "first_different": {"iteration": 0, "epoch": 0}}
    assert found["weights"] == weights
    assert found["identical"] is False
    told = cli("diff", DENSE, PRUNED).out
    assert "branch 1: kind" in told
    assert ["all", "592 of 592", "118 of 592"] in cli("diff", DENSE, PRUNED).rows
    assert "first different after epoch 0 (iteration 0); the same at 0 of 3" in told


def _kept(done: Path, layer: str) -> str:
    report = json.loads((done / PRUNED / "replicate_1/sparsity.json").read_text())
    (row,) = (row for row in report["layers"] if row["layer"] == layer)
    return f"{row['kept']} of {row['total']}"


def test_another_learning_rate_of_the_parent(cli: Cli, done: Path) -> None:
    """It is found where it was given; from the same seed, weights part after the first epoch."""
    assert cli(*TRAIN, "--lr=0.05", "--quiet").code == 0
    assert cli(*BRANCH, "--lr=0.05", "--prune_fraction=0.8", "--quiet").code == 0
    rows = {path.name for path in done.iterdir()} - {DENSE, PRUNED}
    other = {name.partition("_")[0]: name for name in rows}
    found = _json(cli, PRUNED, other["oneshot"])
    assert found["hyperparameters"] == [
        {"where": "first run", "name": "training.lr", "values": ["0.1", "0.05"]},
    ]
    dense = _json(cli, DENSE, other["train"])
    assert cli("branch", PRUNED, "finetune", "--finetune_lr=0.3", "--threads=1").code == 0
    (tuned,) = (path.name for path in done.iterdir() if path.name.startswith("finetune"))
    changes = _json(cli, PRUNED, tuned)["hyperparameters"]
    assert isinstance(changes, list)
    assert {"where": "trained by", "name": "training.lr", "values": ["0.1", "0.3"]} in changes
    assert dense["weights"] == {
        "compared": 3,
        "equal": 1,
        "first_different": {"iteration": 23, "epoch": 1},
    }
    assert (dense["layers"], dense["provenance"]) == ({}, {})


def test_replicates(cli: Cli, done: Path) -> None:
    """Repetitions have one description, and other weights from the beginning."""
    assert cli(*TRAIN, "--replicate=2", "--quiet").code == 0
    told = cli("diff", f"{DENSE}/replicate_1", f"{DENSE}/replicate_2")
    assert "They are repetitions of one run" in told.out
    assert "hyperparameters\n" not in told.out
    assert "test accuracy" in told.out
    assert "diff" not in cli("diff", DENSE, f"{DENSE}/replicate_2").out


def test_identical_runs(cli: Cli, done: Path) -> None:
    """A run whose replicate sees the same seeds is the same; on other threads, that is told."""
    seeds = ("--model_seed=1", "--data_order_seed=1", "--transformation_seed=1", "--quiet")
    for replicate in (1, 2):
        assert cli(*TRAIN, *seeds, f"--replicate={replicate}").code == 0
    (name,) = {path.name for path in done.iterdir()} - {DENSE, PRUNED}
    told = cli("diff", f"{name}/replicate_1", f"{name}/replicate_2")
    assert told.out == (
        "The two runs are identical: hyperparameters, results and weights of every epoch.\n"
        "weights: the same at all 3 iterations at which both have some\n"
    )
    record = done / name / "replicate_2/provenance.json"
    record.write_text(record.read_text().replace('"threads": 1', '"threads": 9'))
    found = _json(cli, f"{name}/replicate_1", f"{name}/replicate_2")
    assert (found["identical"], found["provenance"]) == (True, {"threads": ["1", "9"]})


def test_mistakes(cli: Cli, done: Path) -> None:
    """One run, the same run twice, three runs, an unknown one; a damaged one is named."""
    assert "Which two runs?" in cli("diff", DENSE).err
    assert f"Both are {DENSE}/replicate_1: name two runs." in cli("diff", DENSE, DENSE).err
    assert "Which two runs?" in cli("diff", DENSE, PRUNED, DENSE).err
    assert "There is no run" in cli("diff", DENSE, "nothing").err
    shutil.copy(done / DENSE / "replicate_1/metrics.csv", done / PRUNED / "replicate_1")
    told = cli("diff", DENSE, PRUNED)
    assert (told.code, told.out) == (1, "")
    assert "metrics.csv is damaged" in told.err
