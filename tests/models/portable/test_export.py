"""Exports give what the network gives, for any number of images, and name nothing of a machine."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import fx, nn

from foundations.errors import OpenPruneError, UserError
from models.graph.trace import _graph
from models.portable import export
from models.portable.describe import described, rebuilt, tensors
from models.portable.export import ONNX_PACKAGES, Exported, to_onnx, to_torch_export
from tests.models.graphs import NETWORKS, SHAPE, drawn, images

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

EXPORTS = {"onnx": to_onnx, "torch_export": to_torch_export}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A residual network with padded shortcuts, as one loads it from a folder; in float32."""
    made = drawn(NETWORKS["option_a"]())
    graph = fx.GraphModule(made, _graph(made))
    return rebuilt(described(graph), tensors(graph)).float()


@pytest.fixture(scope="module")
def exported(network: nn.Module) -> dict[str, Exported]:
    """Both, made once."""
    return {name: make(network, images(6).float()) for name, make in EXPORTS.items()}


def _onnx(data: bytes, x: Tensor) -> Any:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": x.numpy()})[0]


def _torch_export(data: bytes, x: Tensor) -> Any:
    with torch.no_grad():
        return torch.export.load(io.BytesIO(data)).module()(x).numpy()


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("name", EXPORTS)
def test_outputs_for_any_number_of_images(
    name: str, count: int, network: nn.Module, exported: dict[str, Exported]
) -> None:
    """As the network's, on images that it was not checked on."""
    run = {"onnx": _onnx, "torch_export": _torch_export}[name]
    x = torch.randn(count, *SHAPE)
    with torch.no_grad():
        expected = network(x).numpy()
    np.testing.assert_allclose(run(exported[name].data, x), expected, atol=1e-4)


def test_the_difference_that_is_told(network: nn.Module, exported: dict[str, Exported]) -> None:
    """It is the largest there is, of all images together and of the first by itself."""
    x = images(6).float()
    with torch.no_grad():
        pairs = [(network(part).numpy(), _onnx(exported["onnx"].data, part)) for part in (x, x[:1])]
    expected = max(abs(ours - theirs).max() for ours, theirs in pairs)
    assert exported["onnx"].difference == pytest.approx(expected, abs=1e-5)
    assert exported["onnx"].difference <= export.TOLERANCE * 10


def test_files_name_nothing_of_this_machine(exported: dict[str, Exported]) -> None:
    """No paths of sources; the ONNX model is one by ONNX's own checker, with a free batch."""
    model = onnx.load_from_string(exported["onnx"].data)
    onnx.checker.check_model(model, full_check=True)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in shape] == ["batch", *SHAPE]
    program = zipfile.ZipFile(io.BytesIO(exported["torch_export"].data))
    whole = b"".join(program.read(name) for name in program.namelist())
    for data in (exported["onnx"].data, whole):
        assert b".py" not in data
        assert b"site-packages" not in data


def test_nothing_of_a_program_has_to_be_unpickled_but_its_example(
    exported: dict[str, Exported],
) -> None:
    """Weights and constants are plain; the example holds zeros, no images."""
    program = zipfile.ZipFile(io.BytesIO(exported["torch_export"].data))
    configs = [name for name in program.namelist() if name.endswith("_config.json")]
    for name in configs:
        entries = json.loads(program.read(name))["config"].values()
        assert not any(entry["use_pickle"] for entry in entries)
    assert len(configs) == 2
    args, _ = torch.export.load(io.BytesIO(exported["torch_export"].data)).example_inputs or ((), 0)
    assert [float(x.abs().max()) for x in args] == [0.0]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_that_differs_is_refused(
    name: str, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By more than the tolerance."""
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(OpenPruneError, match="differ from the network's by up to"):
        EXPORTS[name](network, images(2).float())


class Branching(nn.Module):
    """What it does depends on values."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits, or others."""
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


@pytest.mark.parametrize("make", EXPORTS.values(), ids=EXPORTS)
def test_what_cannot_be_exported(
    make: Callable[..., Exported], capsys: pytest.CaptureFixture[str]
) -> None:
    """A message in one line; the exporters' own say nothing."""
    with pytest.raises(UserError, match="cannot be exported to") as raised:
        make(Branching(), images(2).float())
    assert "\n" not in str(raised.value)
    assert capsys.readouterr() == ("", "")


def test_warnings_and_logging_are_as_before(network: nn.Module) -> None:
    """What exporters say is silenced while they work alone."""
    before = logging.root.manager.disable, list(warnings.filters)
    to_torch_export(network, images(2).float())
    assert (logging.root.manager.disable, list(warnings.filters)) == before


@pytest.mark.parametrize("missing", ONNX_PACKAGES)
def test_a_package_that_is_not_there(
    missing: str, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match="pip install onnx onnxscript onnxruntime"):
        to_onnx(network, images(2).float())
