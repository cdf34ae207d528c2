"""``import WEIGHTS``: a state dict from elsewhere is a run, named by its content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

import open_prune
from datasets.load import load
from foundations.errors import DamageError
from foundations.tensors import digest
from models.lenet import LeNet
from tests.commands.conftest import TINY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli


@pytest.fixture
def network() -> LeNet:
    """A network of digits_lenet_8's shape that this project has not trained."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return LeNet(64, [8], 10)


@pytest.fixture
def weights(network: LeNet, tmp_path: Path) -> Path:
    """Its file, as another project saved it."""
    path = tmp_path / "weights.pth"
    named = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": named, "epoch": 7}, path)
    return path


def _imported(cli: Cli, path: Path, *words: str) -> str:
    """The name of the run."""
    told = cli("import", str(path), *TINY, "--quiet", *words)
    assert told.code == 0, told.err
    return told.rows[-2][0]


def test_it_is_complete_at_once(
    cli: Cli, root: Path, network: LeNet, weights: Path, shared: Path
) -> None:
    """The weights are those of the file, to the bit; they are evaluated, and the run is sealed."""
    name = _imported(cli, weights)
    assert name.startswith("import_")
    run = open_prune.open_run(name)
    assert run.state.value == "done"
    assert list(map(str, run.steps)) == ["2ep"]
    for key, value in network.state_dict().items():
        assert torch.equal(run.weights()[key], value)
    data = load(run.recipe.dataset, seed=1, root=shared / "data")
    images = (data.test.images.float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        logits = network(images)
    assert run.accuracy == pytest.approx(
        float((logits.argmax(1) == data.test.labels).double().mean())
    )
    loss = {(row.phase, row.name): row.value for row in run.metrics}["test", "loss"]
    assert loss == pytest.approx(
        float(functional.cross_entropy(logits, data.test.labels)), rel=1e-5
    )
    again = cli("import", str(weights), *TINY)
    assert again.out.startswith(f"{name} replicate 1 is done already.")
    assert cli("ls").rows[1][-1] == "digits_lenet_8 on digits, imported at 2ep"
    assert "weights: content=" in cli("show", name).out


def test_it_is_named_by_its_content(
    cli: Cli, network: LeNet, weights: Path, tmp_path: Path
) -> None:
    """From another file, of another kind, with other names: the same; other values: another."""
    name = _imported(cli, weights)
    renamed = {n.replace("fc_layers", "hidden"): v for n, v in network.state_dict().items()}
    save_file(renamed, tmp_path / "w.safetensors")
    assert _imported(cli, tmp_path / "w.safetensors", "--rename=hidden=fc_layers") == name
    assert _imported(cli, weights, "--import_step=2ep") == name
    assert _imported(cli, weights, "--lr=0.2") != name
    with torch.no_grad():
        network.fc.bias[0] += 1e-6
    torch.save(network.state_dict(), weights)
    assert _imported(cli, weights) != name


def test_python_describes_the_same(cli: Cli, weights: Path, network: LeNet) -> None:
    """And what is described is what is read back."""
    made = open_prune.import_weights(weights, "digits_lenet_8", training_steps="2ep")
    assert made.name == _imported(cli, weights)
    assert open_prune.open_run(made.name).description == made
    assert made.weights.content == digest(network.state_dict())


def test_a_branch_of_it(cli: Cli, weights: Path, network: LeNet) -> None:
    """It is pruned at its end, from where there is nothing left to train, or trained anew."""
    name = _imported(cli, weights)
    at_end = ("--prune_step=2ep", "--state_step=2ep", "--quiet", "--threads=1")
    for start in ("--start_step=2ep", "--start_step=0ep"):
        told = cli("branch", name, "oneshot", *at_end, start)
        assert told.code == 0, told.err
        assert "118 of 592" in told.out
        pruned = open_prune.open_run(told.rows[-2][0])
        first = pruned.weights(pruned.steps[0])
        own = network.state_dict()
        assert all(torch.equal(first[n][keep], own[n][keep]) for n, keep in pruned.mask().items())
        assert (pruned.steps[0] == pruned.steps[-1]) == (start == "--start_step=2ep")


def test_branches_of_branches_of_it(cli: Cli, weights: Path, network: LeNet) -> None:
    """What can go back no further than to the imported weights; new weights are trained whole."""
    name = _imported(cli, weights)
    own = network.state_dict()
    at_end = ("--prune_step=2ep", "--state_step=2ep")
    made = {"oneshot": (name, "oneshot", *at_end), "level": (name, "lottery_rewind")}
    made["level"] += ("--rewind=learning_rate",)
    runs = {}
    for what, words in made.items():
        told = cli("branch", *words, "--threads=1", "--quiet")
        assert told.code == 0, told.err
        runs[what] = told.rows[-2][0]
        shuffled = cli("branch", runs[what], "shuffle", "--threads=1", "--quiet")
        run = open_prune.open_run(shuffled.rows[-2][0])
        assert all(
            torch.equal(run.weights("0ep")[n][keep], own[n][keep]) for n, keep in run.mask().items()
        )
    for parent in (name, runs["oneshot"]):
        drawn = cli("branch", parent, "reinit", "--threads=1", "--quiet").rows[-2][0]
        assert list(map(str, open_prune.open_run(drawn).steps)) == ["0ep", "2ep"]
    told = cli("branch", name, "lottery_rewind", "--threads=1")
    assert told.code == 2
    assert "or by --rewinding_steps or --rewind=learning_rate." in told.err


def test_a_state_before_there_is_none(cli: Cli, root: Path, weights: Path) -> None:
    """The message says from where on there are some, and nothing is left of the branch."""
    name = _imported(cli, weights)
    files = [path for path in root.glob("*/*/*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    told = cli("branch", name, "oneshot", "--threads=1")
    assert told.code == 2
    assert f"{name} has no state at 0ep: it goes from 2ep to 2ep" in told.err
    assert "It was imported at 2ep: name that step, such as by --prune_step and" in told.err
    assert {p: p.stat().st_mtime_ns for p in root.glob("*/*/*") if p.is_file()} == before


def test_training_goes_on_from_the_step(cli: Cli, weights: Path, network: LeNet) -> None:
    """With --import_step, the run has that state and is trained to its end from there."""
    name = _imported(cli, weights, "--import_step=1ep")
    run = open_prune.open_run(name)
    assert list(map(str, run.steps)) == ["1ep", "2ep"]
    assert torch.equal(run.weights("1ep")["fc.bias"], network.state_dict()["fc.bias"])
    assert not torch.equal(run.weights()["fc.bias"], network.state_dict()["fc.bias"])
    assert json.loads((run.path / "start.json").read_text())["iteration"] == 23
    told = cli("import", str(weights), *TINY, "--import_step=3ep")
    assert told.code == 2
    assert "cannot begin at 3ep" in told.err


def test_weights_of_another_network(cli: Cli, root: Path, weights: Path) -> None:
    """What is missing and what is of another shape is named; no run is left behind."""
    told = cli("import", str(weights), "--quiet")
    assert told.code == 2
    assert "These are not the weights of digits_lenet.\n  missing: fc_layers.1" in told.err
    assert "fc.weight (10x8, not 10x100)" in told.err
    assert list(root.glob("import_*")) == []


def test_a_file_that_has_changed_since(cli: Cli, weights: Path, network: LeNet) -> None:
    """A run that was described and not begun refuses other weights; with none it says so."""
    made = open_prune.import_weights(weights, "digits_lenet_8", training_steps="2ep")
    torch.save({name: value + 1 for name, value in network.state_dict().items()}, weights)
    with pytest.raises(DamageError, match="is not what import_"):
        open_prune.run(made, quiet=True)
    weights.unlink()
    told = cli("import", str(weights), *TINY)
    assert (told.code, told.out) == (2, "")
    assert f"There is no file {weights}" in told.err


def test_mistakes(cli: Cli, weights: Path) -> None:
    """No file, and a renaming that is none."""
    assert "Which weights?" in cli("import").err
    told = cli("import", str(weights), *TINY, "--rename=fc")
    assert told.code == 2
    assert "old=new" in told.err
