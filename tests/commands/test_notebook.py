"""The same from Python: describe, branch, run, open, and read what came out."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional

import open_prune
from datasets.load import load
from foundations.errors import UserError
from tests.commands.conftest import BRANCH, DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli
    from training.description import TrainDesc


def _tiny() -> TrainDesc:
    return open_prune.describe("digits_lenet_8", training_steps="2ep")


def test_descriptions_are_those_of_the_command_line(cli: Cli) -> None:
    """The same flags make the same name, steps as text or as values."""
    dense = _tiny()
    assert dense.name == DENSE
    assert open_prune.branch(dense, "oneshot").name == PRUNED
    pruned = open_prune.branch(
        dense, "oneshot", strategy="snip2", prune_step=open_prune.Step(1), state_step="1ep3it"
    )
    told = cli(
        *BRANCH,
        "--strategy=snip2",
        "--prune_step=1ep",
        "--state_step=1ep3it",
        "--display_output_location",
    )
    assert pruned.name in told.out
    assert open_prune.describe().name in cli("train", "--display_output_location").out


def test_another_run(cli: Cli, done: Path) -> None:
    """A field that takes a run takes its description, as the command line takes its name."""
    other = open_prune.branch(_tiny(), "oneshot")
    for named, run in (("", other), ("/replicate_1", open_prune.state(other, replicate=1))):
        made = open_prune.branch(_tiny(), "oneshot", prune_experiment=run)
        told = cli(*BRANCH, f"--prune_experiment={PRUNED}{named}", "--display_output_location")
        assert made.name in told.out


def test_run_and_read(root: Path) -> None:
    """A run's model, mask, metrics and weights at its steps are those of its files."""
    branch = open_prune.branch(_tiny(), "oneshot", prune_fraction=0.5)
    options = open_prune.RunOptions(weight_save_steps=(open_prune.Step(1),))
    run = open_prune.run(branch, replicate=2, quiet=True, options=options)
    assert run.name == branch.name
    assert run.description == branch
    assert run.path == root / branch.name / "replicate_2"
    assert list(map(str, run.steps)) == ["0ep", "1ep", "2ep"]
    mask = run.mask()
    assert (mask.kept, mask.total) == (296, 592)
    assert run.sparsity["kept"] == 296
    for step in (None, "0ep", "1ep", "2ep", open_prune.Step(1)):
        for name, keep in run.mask(step).items():
            assert run.weights(step)[name][~keep].eq(0).all()
    assert not torch.equal(run.weights("1ep")["fc.weight"], run.weights()["fc.weight"])
    assert run.metrics[-1].epoch == 2


def test_accuracy_is_that_of_the_model(shared: Path) -> None:
    """The model that is read has, on the test examples, the accuracy and loss of the metrics."""
    run = open_prune.run(_tiny(), quiet=True)
    data = load(run.recipe.dataset, seed=1, root=shared / "data")
    images = (data.test.images.float() / 255 - data.mean[0]) / data.std[0]
    model = run.model()
    assert not model.training
    with torch.no_grad():
        logits = model(images)
    right = (logits.argmax(1) == data.test.labels).double().mean()
    assert run.accuracy == pytest.approx(float(right))
    loss = functional.cross_entropy(logits, data.test.labels)
    last = {(row.phase, row.name): row.value for row in run.metrics}
    assert last["test", "loss"] == pytest.approx(float(loss), rel=1e-5)


def test_open_and_list(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs are found by name or its beginning, and are the same values."""
    assert {run.name for run in open_prune.runs()} == {DENSE, PRUNED}
    run = open_prune.open_run("one")
    assert run == open_prune.open_run(PRUNED, 1)
    assert run.description == open_prune.branch(_tiny(), "oneshot")
    assert run.accuracy is not None
    assert open_prune.run(run.description).accuracy == run.accuracy
    assert "epoch" not in capsys.readouterr().out
    dense = open_prune.open_run("train")
    assert dense.mask().density == 1
    with pytest.raises(UserError, match="no state"):
        dense.weights("1ep")
    with pytest.raises(UserError, match="no run"):
        open_prune.open_run("three")


def test_elsewhere(tmp_path: Path, shared: Path) -> None:
    """A platform says where, in place of the environment."""
    platform = open_prune.Local(root=str(tmp_path / "b"), data_root=str(shared / "data"), threads=1)
    run = open_prune.run(
        open_prune.describe("digits_lenet_8", training_steps="1it"), platform=platform, quiet=True
    )
    assert run.path.is_relative_to(tmp_path / "b")
    assert [found.name for found in open_prune.runs(platform=platform)] == [run.name]
    assert open_prune.runs() == []


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: open_prune.describe("digit_lenet"), "digits_lenet"),
        (lambda: open_prune.describe(learning_rte=1), "lr|learning"),
        (lambda: open_prune.describe(moment=1), "momentum"),
        (lambda: open_prune.branch(_tiny(), "one_shot"), "oneshot"),
        (lambda: open_prune.branch(_tiny(), "oneshot", prune_fractoin=1), "prune_fraction"),
        (lambda: open_prune.branch(_tiny(), "oneshot", strategy="magnitud"), "magnitude"),
    ],
)
def test_mistakes_suggest_the_nearest(call: object, near: str) -> None:
    """As on the command line."""
    with pytest.raises(UserError, match=near):
        call()  # type: ignore[operator] # any of the lambdas above


def test_what_a_notebook_finds() -> None:
    """Every public name is there, and another is an error that lists them."""
    assert set(dir(open_prune)) >= {"describe", "branch", "run", "runs", "open_run", "state"}
    assert all(getattr(open_prune, name) for name in dir(open_prune))
    with pytest.raises(AttributeError, match="describe"):
        open_prune.train  # noqa: B018 - asked for


def test_the_example_of_the_module(root: Path, cli: Cli) -> None:
    """The example in the module's docstring runs as it stands."""
    assert open_prune.__doc__ is not None
    example = textwrap.dedent(open_prune.__doc__.split("::\n", 1)[1])
    *lines, last = example.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(lines), names)  # noqa: S102 - the example of our own docstring
    accuracy, sparsity, model = eval(last, names)  # noqa: S307 - as above
    assert accuracy > 0.5
    assert sparsity == pytest.approx(0.9, abs=1e-4)
    assert isinstance(model, torch.nn.Module)
    assert cli(*TRAIN, "--dry_run").code == 0
