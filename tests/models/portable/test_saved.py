"""A network that was kept in a folder is loaded as it was, or its damage is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import fx

import open_prune
from foundations.errors import DamageError, OpenPruneError, UserError
from foundations.tensors import save_tensors
from models.graph.trace import _graph
from models.portable import saved
from models.portable.describe import described
from models.portable.saved import ARCHITECTURE, TENSORS, known, load_compacted, save_compacted
from tests.models.graphs import CLASSES, NETWORKS, SHAPE, drawn, images

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"shape": list(SHAPE), "classes": CLASSES, "source": {"run": "oneshot_1"}}


@pytest.fixture
def graph() -> fx.GraphModule:
    """A residual network in float64."""
    network = drawn(NETWORKS["option_b"]())
    return fx.GraphModule(network, _graph(network))


@pytest.fixture
def folder(tmp_path: Path, graph: fx.GraphModule) -> Path:
    """Where it is kept."""
    save_compacted(tmp_path / "kept", graph, FACTS)
    return tmp_path / "kept"


def _edit(folder: Path, change: Any) -> None:
    content = json.loads((folder / ARCHITECTURE).read_text())
    change(content)
    (folder / ARCHITECTURE).write_text(json.dumps(content))


def test_outputs_and_facts_come_back(folder: Path, graph: fx.GraphModule) -> None:
    """To the last bit, by the public function; a text names the folder too."""
    loaded = open_prune.load_compacted(str(folder))
    assert torch.equal(loaded(images(4)), graph(images(4)))
    assert isinstance(loaded, fx.GraphModule)
    assert {key: loaded.meta[key] for key in FACTS} == FACTS
    assert not loaded.training
    assert sorted(path.name for path in folder.iterdir()) == [ARCHITECTURE, TENSORS]


def test_the_same_network_makes_the_same_bytes(
    folder: Path, graph: fx.GraphModule, tmp_path: Path
) -> None:
    """Also of a network that was loaded."""
    before = [(folder / name).read_bytes() for name in (ARCHITECTURE, TENSORS)]
    for number, network in enumerate((graph, load_compacted(folder))):
        assert isinstance(network, fx.GraphModule)
        save_compacted(tmp_path / str(number), network, FACTS)
        after = [(tmp_path / str(number) / name).read_bytes() for name in (ARCHITECTURE, TENSORS)]
        assert after == before


def test_it_can_be_trained_on(folder: Path) -> None:
    """Its parameters are parameters, its buffers are buffers."""
    loaded = load_compacted(folder).train()
    loaded(images(4)).sum().backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())
    assert all(not buffer.requires_grad for buffer in loaded.buffers())


def test_where_there_is_no_network(tmp_path: Path, folder: Path) -> None:
    """A folder that is not there, an empty one, a file, and one whose truth was not written."""
    (tmp_path / "empty").mkdir()
    (folder / ARCHITECTURE).unlink()
    for place in (tmp_path / "none", tmp_path / "empty", folder / TENSORS, folder):
        assert known(place) is None
        with pytest.raises(UserError, match="There is no network in"):
            load_compacted(place)


def test_damaged_tensors(folder: Path) -> None:
    """Cut short, gone, or others of the same shapes."""
    data = (folder / TENSORS).read_bytes()
    (folder / TENSORS).write_bytes(data[:-1])
    with pytest.raises(DamageError, match=r"model\.safetensors is damaged: its sha256"):
        load_compacted(folder)
    (folder / TENSORS).unlink()
    with pytest.raises(DamageError, match="is missing"):
        load_compacted(folder)
    save_tensors(folder / TENSORS, {"conv.weight": torch.zeros(2)})
    with pytest.raises(DamageError, match="sha256"):
        load_compacted(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(classes=5),
        lambda content: content["network"]["nodes"].pop(),
        lambda content: content["sha256"].update({TENSORS: "0" * 64}),
        lambda content: content.pop("sha256_of_this"),
    ],
)
def test_a_truth_that_was_edited(folder: Path, change: Any) -> None:
    """It holds a sha256 of itself."""
    _edit(folder, change)
    with pytest.raises(DamageError, match=r"architecture\.json is damaged: its sha256"):
        load_compacted(folder)


@pytest.mark.parametrize("missing", ["network", "sha256"])
def test_a_truth_that_lacks_a_part(folder: Path, missing: str) -> None:
    """Though its own sum is right."""
    content = json.loads((folder / ARCHITECTURE).read_text())
    del content[missing], content["sha256_of_this"]
    content["sha256_of_this"] = saved._digest(content)
    (folder / ARCHITECTURE).write_text(json.dumps(content))
    with pytest.raises(DamageError, match="holds no network, or no checksum"):
        load_compacted(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"format": "another"}', "\xff"])
def test_a_truth_that_is_something_else(folder: Path, text: str) -> None:
    """Any bytes."""
    (folder / ARCHITECTURE).write_text(text, "latin-1")
    with pytest.raises(DamageError, match=r"architecture\.json is damaged"):
        load_compacted(folder)


def test_a_forged_truth_names_nothing_that_is_called(
    folder: Path, tmp_path: Path, graph: fx.GraphModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes a file with right sums is refused by the tables, with the place."""

    def forged(module: fx.GraphModule) -> Any:
        told = described(module)
        told["nodes"][1]["op"], told["nodes"][1]["target"] = "call_function", "os.system"
        told["nodes"][1]["args"] = [f"touch {tmp_path / 'pwned'}"]
        return told

    monkeypatch.setattr("models.portable.saved.described", forged)
    save_compacted(folder, graph, FACTS)
    with pytest.raises(UserError, match=r"architecture\.json cannot be loaded.*'os\.system'"):
        load_compacted(folder)
    assert not (tmp_path / "pwned").exists()


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, graph: fx.GraphModule) -> None:
    """A message, and nothing is there."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OpenPruneError, match="file"):
        save_compacted(tmp_path / "file", graph, FACTS)
