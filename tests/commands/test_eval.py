"""``eval``: what it measures of runs that are there, as tables and as JSON, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import open_prune
from branches import KINDS
from branches.run import state_of
from commands.progress import Silent
from foundations.description import RunRef
from foundations.errors import UserError
from foundations.steps import Step
from foundations.store import Store
from platforms.local import Local
from tests.commands.conftest import BRANCH, DENSE, PRUNED, TRAIN
from training.context import Context

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli, Told

RESNET = (
    "branch",
    "train",
    "oneshot",
    "--default_hparams=digits_lenet_8",
    "--model_name=cifar_resnet_8_4",
    "--training_steps=2it",
    "--batch_size=512",
    "--threads=1",
    "--quiet",
)


def _json(told: Told) -> list[Any]:
    assert (told.code, told.err) == (0, "")
    found: list[Any] = json.loads(told.out)
    return found


def _files(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of the runs below a root: when it was written, and what it holds.

    Who has claimed a run before is no part of it.
    """
    paths = (path for path in root.rglob("*") if path.is_file() and "claim" not in path.parts)
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def _logits(name: str, step: str | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """What a network says of the test digits, and their labels."""
    run = open_prune.open_run(name)
    batches = run._setting().evaluation("test")
    assert batches is not None
    ((images, labels),) = batches
    with torch.no_grad():
        return run.model(step)(images), labels


def test_eval_is_what_training_measured(cli: Cli, done: Path) -> None:
    """Of a run that is done: to the last digit, and no file of it is touched."""
    before = _files(done)
    (found,) = _json(cli("eval", "onesh", "--json"))
    metrics = json.loads((done / PRUNED / "replicate_1" / "done.json").read_text())["metrics"]
    assert found["run"] == PRUNED
    assert found["replicate"] == 1
    (result,) = found["results"]
    assert (result["step"], result["batch_norms"]) == ("2ep", "as trained")
    (split,) = result["splits"]
    assert split == {
        "split": "test",
        "examples": 359,
        "metrics": {"accuracy": metrics["test accuracy"], "loss": metrics["test loss"]},
    }
    assert _files(done) == before


def test_tables(cli: Cli, done: Path) -> None:
    """Several runs, splits and k: a row for each run and split."""
    told = cli("eval", DENSE, f"{PRUNED}/replicate_1", "--evaluate_on=test,train", "--top_k=1,3")
    assert (told.code, told.err) == (0, "")
    heads, *rows = [row for row in told.rows if row]
    assert heads == [
        *("run", "replicate", "step", "batch norms", "split"),
        *("accuracy", "loss", "top1", "top3"),
    ]
    assert [row[:5] for row in rows] == [
        [name, "1", "2ep", "as trained", split]
        for name in (DENSE, PRUNED)
        for split in ("test (359)", "train (1,438)")
    ]
    assert all(row[5] == row[7] for row in rows)
    logits, labels = _logits(DENSE)
    among = (logits.topk(3).indices == labels[:, None]).any(1).double().mean()
    assert rows[0][8] == f"{100 * among:.2f} %"
    assert rows[0][6] == f"{functional.cross_entropy(logits, labels):.4f}"


def test_per_class(cli: Cli, done: Path) -> None:
    """The fraction of right answers among the digits of each class."""
    (found,) = _json(cli("eval", DENSE, "--per_class", "--json"))
    logits, labels = _logits(DENSE)
    right = logits.argmax(1) == labels
    expected = [float(right[labels == label].double().mean()) for label in range(10)]
    (split,) = found["results"][0]["splits"]
    assert split["per_class"] == pytest.approx(expected)
    shown = cli("eval", DENSE, "--per_class").rows
    assert [row for row in shown if row[:1] == [DENSE]][1][5:] == [
        f"{100 * a:.2f} %" for a in expected
    ]


def test_at_start(cli: Cli, done: Path) -> None:
    """Right after pruning, before training on; the end all the same."""
    (found,) = _json(cli("eval", PRUNED, "--at_start", "--json"))
    assert [result["step"] for result in found["results"]] == ["0ep", "2ep"]
    logits, labels = _logits(PRUNED, "0ep")
    metrics = found["results"][0]["splits"][0]["metrics"]
    assert metrics["accuracy"] == float((logits.argmax(1) == labels).double().mean())
    assert metrics["loss"] == pytest.approx(float(functional.cross_entropy(logits, labels)))


def test_a_state_that_was_not_saved_is_made_again(cli: Cli, done: Path) -> None:
    """Into ``replayed``, as branches have it; nothing else changes, and once is enough."""
    run = done / PRUNED / "replicate_1"
    before = _files(run)
    told = cli("eval", PRUNED, "--state_step=1ep", "--json")
    (found,) = _json(told)
    assert found["results"][0]["step"] == "1ep"
    assert (run / "replayed" / "ep1_it0" / "model.safetensors").exists()
    after = _files(run)
    assert {path: after[path] for path in before} == before
    rows = [row.split(",") for row in (run / "metrics.csv").read_text().splitlines()]
    (expected,) = [row[4] for row in rows if row[1:4] == ["1", "test", "accuracy"]]
    assert found["results"][0]["splits"][0]["metrics"]["accuracy"] == float(expected)
    assert cli("eval", PRUNED, "--state_step=1ep", "--json").out == told.out
    assert _files(run) == after


def test_a_run_that_has_only_its_start(cli: Cli, root: Path, shared: Path) -> None:
    """What a branch at initialization leaves of its parent: measured there, and trained no more."""
    assert cli(*BRANCH, "--quiet").code == 0
    (found,) = _json(cli("eval", DENSE, "--at_start", "--json"))
    assert [result["step"] for result in found["results"]] == ["0ep"]
    run = root / DENSE / "replicate_1"
    assert not (run / "done.json").exists()
    assert [path.name for path in (run / "states").iterdir()] == ["ep0_it0"]


def test_a_run_that_is_not_so_far_is_trained_up_to_a_step(cli: Cli, root: Path) -> None:
    """As a branch would have it: no further, and with what training measured there."""
    assert cli(*BRANCH, "--quiet").code == 0
    (found,) = _json(cli("eval", DENSE, "--state_step=1ep", "--json"))
    assert found["results"][0]["step"] == "1ep"
    (run,) = [run for run in Store(root).runs() if run.name == DENSE]
    assert max(row.iteration for row in run.digests()) == 23
    platform = Local(root=str(root), threads=1)
    ref = RunRef(run.description(KINDS), 1, Step(1))
    assert state_of(ref, 1, Context(platform, Silent())).iteration == 23


def test_gradient_norm(cli: Cli, done: Path) -> None:
    """At the start, unless a step is named; of what is trained and kept."""
    (found,) = _json(cli("eval", PRUNED, "--gradient_norm", "--json"))
    run = open_prune.open_run(PRUNED)
    batches = run._setting().evaluation("train")
    assert batches is not None
    network, mask = run.model("0ep").double(), run.mask("0ep")
    network.requires_grad_(True)  # noqa: FBT003 - torch's own
    total = sum(
        functional.cross_entropy(network(images.double()), labels, reduction="sum")
        for images, labels in batches
    )
    assert isinstance(total, torch.Tensor)
    (total / 1438).backward()  # type: ignore[no-untyped-call] # of torch
    kept = {
        name: p.grad * mask[name] if name in mask else p.grad
        for name, p in network.named_parameters()
        if p.grad is not None
    }
    norm = sum(float(g.square().sum()) for g in kept.values()) ** 0.5
    weights = sum(float(kept[name].square().sum()) for name in mask) ** 0.5
    assert found["gradient_norm"] == {
        "step": "0ep",
        "norm": pytest.approx(norm, rel=1e-5),
        "norm_of_prunable": pytest.approx(weights, rel=1e-5),
        "examples": 1438,
    }
    few = ("eval", PRUNED, "--gradient_norm", "--state_step=2ep", "--gradient_batches=2")
    (at_end,) = _json(cli(*few, "--json"))
    assert at_end["gradient_norm"]["step"] == "2ep"
    assert at_end["gradient_norm"]["examples"] == 128
    assert f"on 128 examples has the norm {at_end['gradient_norm']['norm']:.6g}" in cli(*few).out


def test_report_dims(cli: Cli, done: Path) -> None:
    """A line for each layer, as from the eigenvalues of its covariance."""
    run = open_prune.open_run(DENSE)
    batches = run._setting().evaluation("test")
    assert batches is not None
    ((images, _),) = batches
    weights = run.weights()
    hidden = images.flatten(1) @ weights["fc_layers.0.weight"].T + weights["fc_layers.0.bias"]
    eigenvalues = np.linalg.eigvalsh(np.cov(hidden.relu().double().T.numpy(), bias=True))
    expected = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    told = cli("eval", DENSE, "--report_dims")
    assert f"Layer 0: {expected:.3f} out of 8  relu" in told.out
    (found,) = _json(cli("eval", DENSE, "--report_dims", "--dims_examples=3", "--json"))
    (layer,) = found["dimensions"]["layers"]
    assert (layer["layer"], layer["features"]) == ("relu", 8)
    assert 0 < layer["dimensions"] <= 2


def test_accounting(cli: Cli, done: Path) -> None:
    """What is kept of each layer, and what is stored of it, packed and not."""
    (found,) = _json(cli("eval", PRUNED, "--accounting", "--json"))
    account = found["accounting"]
    assert account["total"]["weights_kept"] == account["total"]["macs_kept"] == 118
    assert account["total"]["bytes"] == 4 * 592
    assert account["total"]["bytes_packed"] == 4 * 118 + 512 // 8 + 80 // 8
    told = cli("eval", PRUNED, "--accounting")
    assert "WARNING" not in told.out
    (total,) = [row for row in told.rows if row[:1] == ["all"]]
    assert total[1:3] == ["118 of 592", "19.93 %"]
    assert "(weights on no path counted as cut)" in told.out


def test_what_is_cut_to_nothing_is_said_loudly(cli: Cli, root: Path) -> None:
    """When it is pruned, by ``show``, and by ``eval``."""
    told = cli(*BRANCH, "--prune_fraction=0.99")
    unheard = "none of the weights that it has left is on"
    alarms = [
        "WARNING: fc_layers.0.weight has nothing left: nothing passes through it.",
        f"WARNING: fc.weight is cut off: {unheard} a path from the image to the output.",
        "WARNING: no path leads from the image to the output: the network is a constant.",
    ]
    shown, evaluated = cli("show", "one"), cli("eval", "one", "--accounting")
    for printed in (told, shown, evaluated):
        assert printed.code == 0
        assert [line.strip() for line in printed.out.splitlines() if "WARNING" in line] == alarms
    again = cli(*BRANCH, "--prune_fraction=0.99")
    assert "WARNING" not in again.out
    assert (root / DENSE).is_dir()


def test_what_is_cut_to_nothing_is_said_to_the_quiet(cli: Cli) -> None:
    """On standard error, beside the table."""
    told = cli(*BRANCH, "--prune_fraction=0.99", "--quiet")
    assert told.code == 0
    assert "WARNING" not in told.out
    assert "WARNING: fc_layers.0.weight has nothing left: nothing passes through it." in told.err


def test_recalibrate(cli: Cli) -> None:
    """A row for the batch norms as they were trained and one for recalibrated ones."""
    assert cli(*RESNET).code == 0
    words = ("eval", "oneshot", "--recalibrate", "--recalibrate_batches=1")
    (found,) = _json(cli(*words, "--json"))
    trained, other = found["results"]
    assert [trained["batch_norms"], other["batch_norms"]] == ["as trained", "recalibrated"]
    assert trained["splits"][0]["metrics"]["loss"] != other["splits"][0]["metrics"]["loss"]
    assert cli(*words, "--json").out == json.dumps([found], indent=1) + "\n"


def test_gates_are_in_what_is_measured(cli: Cli, root: Path) -> None:
    """A run whose mask cuts activations: evaluated as it was trained, and accounted."""
    gates = ("--granularity=gates", "--strategy=random", "--prune_fraction=0.5")
    assert cli(*RESNET, *gates).code == 0
    words = ("eval", "oneshot", "--recalibrate", "--report_dims", "--accounting", "--gradient_norm")
    (found,) = _json(cli(*words, "--json"))
    (seal,) = (json.loads(path.read_text()) for path in root.glob("oneshot_*/*/done.json"))
    as_trained, recalibrated = (result["splits"][0]["metrics"] for result in found["results"])
    assert as_trained == {
        "accuracy": seal["metrics"]["test accuracy"],
        "loss": pytest.approx(seal["metrics"]["test loss"], rel=1e-6),
    }
    assert recalibrated["loss"] != as_trained["loss"]
    account = found["accounting"]
    assert account["sparsity"] == 0 < account["effective_sparsity"]
    closed = {gate["gate"].removeprefix("gate:"): gate for gate in account["gates"]}
    for layer in found["dimensions"]["layers"]:
        places = layer["features"] // closed[layer["layer"]]["width"]
        assert layer["dimensions"] <= places * closed[layer["layer"]]["open"] + 1e-9
    printed = cli(*words).out
    assert all(f"{name}: {gate['open']:,} of" in printed for name, gate in closed.items())


def test_from_python(cli: Cli, done: Path) -> None:
    """A run measures itself at a step."""
    run = open_prune.open_run(PRUNED)
    (end,) = run.evaluate(top_k=(2,), per_class=True)
    assert end["metrics"]["accuracy"] == pytest.approx(run.accuracy)
    assert end["metrics"]["top2"] >= end["metrics"]["accuracy"]
    assert len(end["per_class"]) == 10
    test, train = run.evaluate(("test", "train"), step="0ep")
    logits, labels = _logits(PRUNED, "0ep")
    assert test["metrics"]["accuracy"] == float((logits.argmax(1) == labels).double().mean())
    assert train["examples"] == 1438
    with pytest.raises(UserError, match="'tset'"):
        run.evaluate(("tset",))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Which run? Write open_prune.py eval RUN"),
        (("nothing",), "There is no run 'nothing'"),
        ((PRUNED, "--evaluate_on=tets"), "There is no split 'tets'. Did you mean 'test'?"),
        ((PRUNED, "--evaluate_on=validation"), "There is no validation split"),
        ((PRUNED, "--top_k=0"), "each k must be at least 1"),
        ((PRUNED, "--state_step=3ep"), "has no state at 3ep"),
        ((PRUNED, "--state_step=soon"), "'soon'"),
        ((PRUNED, "--gradient_batches=2"), "it needs --gradient_norm"),
        ((PRUNED, "--gradient_norm", "--gradient_batches=0"), "it must be at least 1"),
        ((PRUNED, "--gradient_norm", "--gradient_batches=99"), "99 batches"),
        ((PRUNED, "--report_dims", "--dims_examples=9999"), "the test split has 359"),
        ((PRUNED, "--recalibrate"), "digits_lenet_8 has no batch norms to recalibrate"),
        ((PRUNED, "--acounting"), "Did you mean --accounting?"),
        ((PRUNED, "--replicate=2"), "There is no replicate 2"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes(words: tuple[str, ...], said: str, cli: Cli, done: Path) -> None:
    """Each is named, and leaves the run as it was."""
    before = _files(done)
    told = cli("eval", *words)
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert "Traceback" not in told.err
    assert _files(done) == before


def test_a_run_that_never_began(cli: Cli, done: Path) -> None:
    """It has no state yet, and one is made where it is asked for."""
    new = done / "train_0000000000000000"
    assert cli(*TRAIN, "--lr=0.2", "--training_steps=1it", "--quiet").code == 0
    (made,) = [path for path in done.glob("train_*") if path.name not in {DENSE, new.name}]
    run = made / "replicate_1"
    for path in sorted(run.rglob("*"), reverse=True):
        if path.name != "hparams.json":
            path.unlink() if path.is_file() else path.rmdir()
    told = cli("eval", made.name)
    assert told.code == 2
    assert "has no state yet. --state_step=0ep" in told.err
    assert cli("eval", made.name, "--state_step=0ep", "--quiet").code == 0
