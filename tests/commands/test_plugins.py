"""``--plugin``: own criteria, branches, networks and data sets, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import open_prune
from branches import KINDS
from pruning.criteria import CRITERIA
from pruning.strategies import STRATEGIES
from tests.commands.conftest import BRANCH, DENSE, PRUNED, TRAIN, Told
from tests.loading import forgotten

PROJECT = Path(open_prune.__file__).parent

METHOD = '''
from dataclasses import dataclass
from typing import ClassVar

from branches import KINDS
from branches.base import Branch
from foundations.description import RunRef
from foundations.draws import generator
from foundations.hparams import step_field
from foundations.steps import Step
from pruning.criteria import CRITERIA
from pruning.strategies import STRATEGIES, Published


@dataclass(frozen=True)
class Relative:
    """The size of a weight over the mean size in its layer; the lowest are cut."""

    def __call__(self, network, weights, mask, data, key):
        sizes = {name: weights[name].detach().abs() for name in mask}
        return {name: size / size.mean() for name, size in sizes.items()}


@dataclass(frozen=True, kw_only=True)
class Perturb(Branch):
    """Add noise to the weights that are left, and train on."""

    kind: ClassVar[str] = "perturb"

    state_step: Step = step_field(Step(0))
    """Which state of the parent."""

    noise: float = 0.1
    """The deviation of the noise, in deviations of each layer's weights."""

    def asks(self, parent):
        return (RunRef(parent, step=self.state_step),)

    def start(self, parent, states, setting):
        import torch
        from training.start import Start
        from training.state import State

        (state,) = states
        weights = dict(state.weights)
        for name in [name for name in weights if weights[name].dim() > 1]:
            drawn = generator(setting.replicate, "perturb", name)
            noise = torch.randn(weights[name].shape, generator=drawn)
            weights[name] = weights[name] + self.noise * weights[name].std() * noise
        return Start(State(state.iteration, weights, state.mask))


CRITERIA.add("relative", Relative)
STRATEGIES.add("relative", Published("relative"))
KINDS.add("perturb", Perturb)
'''

NETWORK = """
from datasets import DATASETS
from datasets.dataset import Dataset, Source
from models import MODELS
from models.family import Family

def build(arguments, *, shape, classes):
    from models.lenet import LeNet
    return LeNet(shape[0] * shape[1] * shape[2], [int(arguments["width"])], classes)

def read(folder, workers):
    import torch
    from datasets.data import Content, Split
    labels = torch.arange(40) % 2
    images = (labels * 200).to(torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 4, 4)
    images[:, 0, 0, 0] = torch.arange(40, dtype=torch.uint8)
    return Content(Split(images, labels), Split(images[:10], labels[:10]))

MODELS.add("my_net", Family(
    name="my_net", form="my_net_W", rule="W is the width", examples=("my_net_5",),
    pattern=r"my_net_(?P<width>[1-9][0-9]*)", builder=f"{__name__}:build",
    preset={"model_init": "kaiming_normal", "batchnorm_init": "uniform", "dataset_name": "halves",
            "batch_size": 8, "optimizer_name": "sgd", "lr": 0.1, "training_steps": "2ep"},
))
DATASETS.add("halves", Dataset(
    name="halves", summary="two shades of gray", get="It is computed.", classes=2, shape=(1, 4, 4),
    sources=(Source(folder="", needs=(), read=f"{__name__}:read"),),
))
"""

FAILS = """
from pruning.criteria import CRITERIA
from pruning.strategies import STRATEGIES, Published

def scores(network, weights, mask, data, key):
    return {name: weights["nothing"] for name in mask}

CRITERIA.add("fails", lambda: scores)
STRATEGIES.add("fails", Published("fails"))
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A criterion, a strategy that is it, and a branch."""
    path = tmp_path / "my_method.py"
    path.write_text(METHOD)
    return path


def _run(*words: str) -> Told:
    """The command line in a new process."""
    command = [sys.executable, "open_prune.py", *words]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Told(done.returncode, done.stdout, done.stderr)


def _name(*words: str) -> str:
    """The name of the run that a command describes."""
    told = _run(*words, "--display_output_location")
    assert told.code == 0, told.err
    return Path(told.out.strip()).parent.name


def test_a_criterion_of_ones_own(root: Path, plugin: Path) -> None:
    """It scores: the smallest weights, by the mean of their layer, are cut."""
    told = _run(*BRANCH, f"--plugin={plugin}", "--strategy=relative", "--quiet")
    assert told.code == 0, told.err
    weights = open_prune.open_run(DENSE).weights("0ep")
    with forgotten(CRITERIA, STRATEGIES, KINDS):
        assert open_prune.plugin(plugin).path == plugin
        dense = open_prune.describe("digits_lenet_8", training_steps="2ep")
        name = open_prune.branch(dense, "oneshot", strategy="relative").name
        mask = open_prune.open_run(name).mask()
    assert name == told.rows[-2][0]
    sizes = {n: weights[n].abs() / weights[n].abs().mean() for n in mask}
    kept = [size for n in mask for size in sizes[n][mask[n]].tolist()]
    cut = [size for n in mask for size in sizes[n][~mask[n]].tolist()]
    assert len(kept) == 118
    assert min(kept) >= max(cut)
    described = json.loads((root / name / "replicate_1" / "hparams.json").read_text())
    assert list(described["plugins"].values()) == [str(plugin)]


def test_the_name_follows_the_content_where_it_is_used(plugin: Path) -> None:
    """Elsewhere the same, changed another; runs that do not use it keep their names."""
    words = (*BRANCH, "--strategy=relative")
    name = _name(*words, f"--plugin={plugin}")
    assert _name(*TRAIN, f"--plugin={plugin}") == DENSE
    assert _name(*BRANCH, "--plugin", str(plugin)) == PRUNED
    assert _name(*words, f"--plugin={plugin.rename(plugin.with_name('moved.py'))}") == name
    plugin.write_text(f"{METHOD}# changed\n")
    assert _name(*words, f"--plugin={plugin}") != name
    assert _name(*BRANCH, f"--plugin={plugin}") == PRUNED


def test_a_branch_of_ones_own(root: Path, plugin: Path) -> None:
    """It has its flags, its help, a directory of its kind; and branches grow on it."""
    given = (f"--plugin={plugin}", "--quiet")
    shown = _run("branch", "train", "perturb", "--help", *given)
    assert "Add noise to the weights that are left" in shown.out
    assert "--noise FLOAT" in shown.out
    for parent in (("train", *TRAIN[1:]), ("perturb", "--threads=1")):
        told = _run("branch", parent[0], "perturb", *parent[1:], "--noise=0.5", *given)
        assert told.code == 0, told.err
    assert len(list(root.glob("perturb_*"))) == 2
    tree = _run("ls", "--tree", f"--plugin={plugin}").out.splitlines()
    assert [line.split("_")[0] for line in tree[1:]] == ["train", "  perturb", "    perturb"]


def test_runs_whose_plugin_is_not_given(root: Path, plugin: Path) -> None:
    """They are listed and shown with their state and results, and which plugin to give."""
    assert _run("branch", "train", "perturb", *TRAIN[1:], f"--plugin={plugin}", "--quiet").code == 0
    advice = f"made with --plugin={plugin}: give it to read it."
    for words in (("ls",), ("ls", "--tree")):
        rows = {row[0].split("_")[0]: row for row in _run(*words).rows[1:-1]}
        assert rows["perturb"][2] == "done"
        assert rows["perturb"][3].endswith("%")
        assert rows["perturb"][-1] == advice
    shown = _run("show", "perturb")
    assert shown.code == 0
    assert "last test accuracy" in shown.out
    assert f"  {advice}\n" in shown.out
    told = _run("branch", "perturb", "oneshot")
    assert told.code == 2
    assert told.err.endswith(f"was {advice}\n")
    plugin.write_text(f"{METHOD}# changed\n")
    listed = _run("ls", f"--plugin={plugin}").out
    assert "before that was changed: to read it, give the file as it was" in listed


def test_several_plugins_a_network_and_data(root: Path, plugin: Path, tmp_path: Path) -> None:
    """A family of networks with its preset, and a data set, beside the criterion of another."""
    other = tmp_path / "net.py"
    other.write_text(NETWORK)
    preset = ("--default_hparams=my_net_5", "--threads=1")
    words = ("branch", "train", "oneshot", *preset, "--strategy=relative", "--quiet")
    told = _run(*words, f"--data_root={tmp_path / 'data'}", f"--plugin={plugin},{other}")
    assert told.code == 0, told.err
    name = told.rows[-2][0]
    assert _name(*words, f"--plugin={other}", f"--plugin={plugin}") == name
    dense = _name("train", *preset, f"--plugin={other}")
    assert (root / dense).is_dir()
    assert _run("train", *preset).code == 2
    other.write_text(f"{NETWORK}# changed\n")
    assert _name("train", *preset, f"--plugin={other}") != dense
    assert "halves: here." in _run("data", f"--plugin={other}").out


def test_an_error_in_the_users_file(root: Path, tmp_path: Path) -> None:
    """When it is loaded, and when it scores: its line, no traceback, and no run left behind."""
    path = tmp_path / "fails.py"
    path.write_text(FAILS)
    told = _run(*BRANCH, f"--plugin={path}", "--strategy=fails")
    assert told.code == 1
    assert f"open_prune: a plugin failed.\n  {path}, line 6, in " in told.err
    assert told.err.endswith("\nKeyError: 'nothing'\n")
    assert list(root.glob("oneshot_*")) == []
    path.write_text("x = 1 +\n")
    told = _run("ls", f"--plugin={path}")
    assert told.code == 2
    assert told.err.startswith(f"open_prune: The plugin {path} cannot be loaded.\n  {path}, line 1")
