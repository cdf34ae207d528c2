"""``compact``: the smaller network that it writes, what it prints, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import open_prune
from foundations.files import PART
from foundations.store import Store
from models.portable.export import onnx_runner
from pruning.compaction.compact import compacted
from tests.commands import compactions
from tests.commands.conftest import BRANCH, DENSE, PRUNED
from tests.foundations.kills import start

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli, Told

CHANNELS = (
    *("branch", "train", "oneshot", "--default_hparams=digits_lenet_8"),
    *("--model_name=cifar_resnet_8_4", "--training_steps=2it", "--batch_size=512"),
    *("--granularity=channels", "--coupling=inner", "--prune_fraction=0.4"),
    *("--threads=1", "--quiet"),
)
"""A ResNet of 5,142 parameters on 8 x 8 digits, its inner channels pruned."""

FILES = ["architecture.json", "model.safetensors"]


@pytest.fixture
def pruned(cli: Cli, root: Path, shared: Path) -> Path:
    """The directory of a run whose channels are pruned, in a root that is the test's own."""
    kept = shared / "channels"
    if not kept.exists():
        assert cli(*CHANNELS, f"--root={kept}").code == 0
    shutil.copytree(kept, root, dirs_exist_ok=True)
    return next(root.glob("oneshot_*")) / "replicate_1"


@pytest.fixture
def folder(cli: Cli, pruned: Path, shared: Path) -> Path:
    """Where its compacted network is."""
    kept, made = shared / "compacted", pruned / "compacted" / "ep0_it2"
    if not kept.exists():
        assert cli("compact", "oneshot", "--threads=1").code == 0
        shutil.copytree(made, kept)
    shutil.copytree(kept, made, dirs_exist_ok=True)
    return made


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def _test_images(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    batches = open_prune.open_run(name)._setting().evaluation("test")
    assert batches is not None
    ((images, labels),) = batches
    return images, labels


def _row(told: Told, head: str) -> list[str]:
    (row,) = [row for row in told.rows if row and row[0] == head]
    return row[1:]


def test_the_smaller_network_does_what_the_masked_one_does(cli: Cli, pruned: Path) -> None:
    """Logits of all test images; fewer parameters than the mask keeps; what was printed holds."""
    told = cli("compact", "oneshot", "--threads=1")
    assert (told.code, told.err) == (0, "")
    made = pruned / "compacted" / "ep0_it2"
    assert sorted(path.name for path in made.iterdir()) == FILES
    loaded, run = open_prune.load_compacted(made), open_prune.open_run("oneshot")
    images, labels = _test_images("oneshot")
    with torch.no_grad():
        ours, theirs = loaded(images), run.model()(images)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    masked, small = (
        f"{100 * (x.argmax(1) == labels).double().mean():.2f} %" for x in (theirs, ours)
    )
    assert _row(told, "test accuracy") == ["-", masked, small]
    left = sum(parameter.numel() for parameter in loaded.parameters())
    kept = 5142 - run.mask().weights.total + run.mask().weights.kept
    assert _row(told, "parameters")[0] == "5,142"
    assert _row(told, "parameters")[2] == f"{left:,}"
    assert left < kept
    assert f"written: {made / 'model.safetensors'}" in told.out
    difference = float(told.out.split("masked network's outputs: ")[1].split(" ")[0])
    assert difference < 1e-12


def test_multiply_accumulates_are_those_of_its_layers(cli: Cli, pruned: Path) -> None:
    """Counted by looking at the outputs of each layer."""
    told = cli("compact", "oneshot", "--threads=1")
    loaded = open_prune.load_compacted(pruned / "compacted" / "ep0_it2")
    counted = 0

    def count(module: nn.Module, _: Any, out: torch.Tensor) -> None:
        nonlocal counted
        counted += module.get_parameter("weight").numel() * out[0].numel() // out.shape[1]

    for module in loaded.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    loaded(torch.zeros(1, 1, 8, 8))
    dense, masked, small = (
        int(cell.replace(",", "")) for cell in _row(told, "multiply-accumulates")
    )
    assert small == counted
    assert small < masked < dense


def test_the_same_command_twice(cli: Cli, folder: Path) -> None:
    """Says that there is nothing to do, prints the same table, and touches no file."""
    before = _files(folder)
    told = cli("compact", "oneshot", "--threads=1")
    assert (told.code, told.err) == (0, "")
    assert f"Nothing to do: {folder} was written before." in told.out
    assert "written:" not in told.out
    assert len(_row(told, "parameters")) == 3
    assert _files(folder) == before


def test_the_network_outlives_the_run(folder: Path, tmp_path: Path, root: Path) -> None:
    """Its folder alone is enough, wherever it is."""
    images, _ = _test_images("oneshot")
    expected = open_prune.load_compacted(folder)(images)
    shutil.copytree(folder, tmp_path / "given")
    shutil.rmtree(root)
    loaded = open_prune.load_compacted(tmp_path / "given")
    assert torch.equal(loaded(images), expected)
    assert loaded.meta["shape"] == [1, 8, 8]  # type: ignore[index] # of a graph module
    assert loaded.meta["classes"] == 10  # type: ignore[index] # as above


def test_exports_are_added(cli: Cli, folder: Path) -> None:
    """To a folder that is there; the network stays as it is, and twice is a no-op again."""
    pytest.importorskip("onnxruntime")
    before = _files(folder)
    told = cli("compact", "oneshot", "--threads=1", "--onnx", "--torch_export")
    assert (told.code, told.err) == (0, "")
    after = _files(folder)
    assert {name: after[name] for name in before} == before
    exports = ["model.onnx", "model.pt2"]
    assert sorted(after.keys() - before) == sorted([*exports, *(f"{n}.json" for n in exports)])
    assert all(f"{name}: outputs differ by at most" in told.out for name in exports)
    assert [line for line in told.out.splitlines() if line.startswith("written:")] == [
        f"written: {folder / name}  {len(after[name][1]):,} bytes" for name in exports
    ]
    again = cli("compact", "oneshot", "--threads=1", "--onnx")
    assert "Nothing to do" in again.out
    assert all(f"{name}: outputs differ by at most" in again.out for name in exports)
    (folder / "model.pt2").write_bytes(b"half")
    told = cli("compact", "oneshot", "--threads=1", "--torch_export")
    assert "written:" in told.out
    assert (folder / "model.pt2").stat().st_size > 1000


def test_a_package_that_is_not_there(
    cli: Cli, pruned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the command of pip, before anything is done."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    told = cli("compact", "oneshot", "--onnx", "--threads=1")
    assert told.code == 2
    assert "pip install onnx onnxscript onnxruntime" in told.err
    assert not (pruned / "compacted").exists()


@pytest.mark.parametrize("name", [DENSE, PRUNED])
def test_runs_without_channels_to_remove(cli: Cli, done: Path, name: str, tmp_path: Path) -> None:
    """One that is not pruned, and one whose single weights are: written all the same."""
    told = cli("compact", name, f"--output={tmp_path / 'given'}", "--threads=1")
    assert (told.code, told.err) == (0, "")
    images, _ = _test_images(name)
    ours = open_prune.load_compacted(tmp_path / "given")(images)
    torch.testing.assert_close(ours, open_prune.open_run(name).model()(images))
    if name == DENSE:
        dense, masked, small = _row(told, "parameters")
        assert dense == masked == small == "610"


def test_exports_of_a_run_in_float64(cli: Cli, root: Path) -> None:
    """They are in float32, as those of other runs; the network itself is in float64."""
    pytest.importorskip("onnxruntime")
    assert cli(*CHANNELS, "--numerics=float64").code == 0
    told = cli("compact", "oneshot", "--threads=1", "--onnx", "--torch_export")
    assert (told.code, told.err) == (0, "")
    (folder,) = root.glob("oneshot_*/replicate_1/compacted/ep0_it2")
    images, _ = _test_images("oneshot")
    expected = open_prune.load_compacted(folder)(images.double())
    exported = onnx_runner((folder / "model.onnx").read_bytes())(images.float())
    torch.testing.assert_close(exported.double(), expected, atol=1e-4, rtol=0)


def test_another_state(cli: Cli, done: Path) -> None:
    """Into a folder of its own; steps may be spelled in iterations."""
    for spelled in ("0ep", "0it"):
        told = cli("compact", PRUNED, f"--state_step={spelled}", "--threads=1")
        assert told.code == 0
        assert "at 0ep" in told.out
    folder = done / PRUNED / "replicate_1" / "compacted" / "ep0_it0"
    images, _ = _test_images(PRUNED)
    expected = open_prune.open_run(PRUNED).model("0ep")(images)
    torch.testing.assert_close(open_prune.load_compacted(folder)(images), expected)


def test_what_is_refused(cli: Cli, done: Path, tmp_path: Path) -> None:
    """Each with what is wrong; nothing is written."""
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("")
    for words, message in (
        ((), "Which run?"),
        (("--onnx",), "Which run?"),
        (("nothing_1",), "There is no run 'nothing_1'"),
        ((PRUNED, "--replicate=3"), "There is no replicate 3"),
        ((f"{PRUNED}/replicate_2",), "There is no replicate 2"),
        ((PRUNED, "--state_step=9ep"), "has no state at 9ep"),
        ((PRUNED, "--state_step=soon"), "soon"),
        ((PRUNED, "--onyx"), "--onyx"),
        ((PRUNED, "--check_examples=1"), "check_examples"),
        ((PRUNED, "--output="), "output"),
        ((PRUNED, f"--output={tmp_path / 'file'}"), "is a file"),
        ((PRUNED, f"--output={tmp_path / 'other'}"), "holds something else (notes.txt)"),
        ((PRUNED, f"--output={tmp_path / 'file' / 'below'}"), "file"),
        (
            (PRUNED, "--output=/proc/compacted"),
            "cannot be written",
        ),
    ):
        told = cli("compact", *words)
        assert told.code == 2, words
        assert message in told.err, words
        assert told.out == ""
    assert not list(tmp_path.rglob("architecture.json"))


def test_a_state_that_was_not_saved_is_made_again(cli: Cli, done: Path) -> None:
    """As where it is evaluated."""
    told = cli("compact", PRUNED, "--state_step=1ep", "--threads=1")
    assert told.code == 0, told.err
    assert (done / PRUNED / "replicate_1" / "compacted" / "ep1_it0").is_dir()


def test_a_run_that_is_not_done(cli: Cli, root: Path) -> None:
    """What a branch at initialization leaves of its parent: only a named state will do."""
    assert cli(*BRANCH, "--quiet").code == 0
    told = cli("compact", DENSE)
    assert told.code == 2
    assert "is not done (interrupted)" in told.err
    assert "There are: 0ep." in told.err
    assert cli("compact", DENSE, "--state_step=0ep", "--threads=1").code == 0
    for path in (root / DENSE / "replicate_1" / "states").iterdir():
        shutil.rmtree(path)
    assert "has no state yet" in cli("compact", DENSE).err


def test_a_folder_of_another_network(cli: Cli, done: Path, tmp_path: Path) -> None:
    """Another step of the run is another network."""
    output = f"--output={tmp_path / 'given'}"
    assert cli("compact", PRUNED, output, "--threads=1").code == 0
    before = _files(tmp_path / "given")
    told = cli("compact", PRUNED, output, "--state_step=0ep")
    assert told.code == 2
    assert f"holds another network: {PRUNED} replicate 1 at 2ep" in told.err
    assert _files(tmp_path / "given") == before


def test_damage_is_named(cli: Cli, folder: Path) -> None:
    """Of the tensors, and of the truth."""
    (folder / "model.safetensors").write_bytes(b"")
    told = cli("compact", "oneshot")
    assert told.code == 1
    assert "model.safetensors is damaged" in told.err
    assert f"Remove {folder}, and compact again." in told.err.replace("\n", " ")
    (folder / "architecture.json").write_text("{")
    assert "architecture.json is damaged" in cli("compact", "oneshot").err


def test_a_network_that_does_something_else_is_not_written(
    cli: Cli, pruned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the comparison: a weight that is changed on the way."""

    def wrong(*arguments: Any) -> Any:
        small = compacted(*arguments)
        next(small.parameters()).data.view(-1)[0] += 1e-6
        return small

    monkeypatch.setattr("training.measures.compaction.compacted", wrong)
    told = cli("compact", "oneshot", "--threads=1")
    assert told.code == 1
    assert "differ from the masked network's by up to" in told.err
    assert not (pruned / "compacted").exists()


def test_what_a_killed_one_left_is_completed(cli: Cli, folder: Path) -> None:
    """Tensors without the truth: no network, until it is done again. Halves of the dead go."""
    expected = {name: data for name, (_, data) in _files(folder).items()}
    (folder / "architecture.json").rename(folder / f".architecture.json.{2**30}.00{PART}")
    alive = folder / f".architecture.json.{os.getpid()}.00{PART}"
    alive.touch()
    told = cli("compact", "oneshot", "--threads=1")
    assert "written:" in told.out
    assert {name: (folder / name).read_bytes() for name in FILES} == expected
    assert sorted(path.name for path in folder.iterdir()) == [alive.name, *FILES]


@pytest.mark.slow
def test_several_at_once(pruned: Path, folder: Path, shared: Path, root: Path) -> None:
    """All succeed, and leave what one leaves."""
    expected = {name: data for name, (_, data) in _files(folder).items()}
    shutil.rmtree(folder.parent)
    data = str(shared / "data")
    processes = [start(compactions.compact, str(root), data, "oneshot") for _ in range(3)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert {name: found for name, (_, found) in _files(folder).items()} == expected


def test_the_run_is_as_it_was(cli: Cli, folder: Path, root: Path) -> None:
    """Its own files are not touched, and it can be read with the folder in it."""
    (run,) = [run for run in Store(root).runs() if run.name.startswith("oneshot")]
    run.check_sealed()
    assert cli("show", "oneshot").code == 0
    assert json.loads((folder / "architecture.json").read_text())["source"]["run"] == run.name
