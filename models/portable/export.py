"""How a network is written for other programs: ONNX and ``torch.export``, each checked.

Both take any number of images at once. What was written is run again on images, and refused where
it does not give what the network gives: the ONNX file by onnxruntime, the program of
``torch.export`` as it is loaded from the bytes that were just made, in this process. (Loading one
can unpickle, so that files of others are never loaded here.)
"""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from foundations.errors import OpenPruneError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

TOLERANCE = 1e-4
"""How far the outputs of an export may be from the network's: relative to the largest of these, or
to 1 where that is less. Other programs add up in another order."""

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_IMAGES, _LOGITS = "images", "logits"


class Exported(NamedTuple):
    """A file's bytes."""

    data: bytes
    difference: float
    """The largest absolute difference from the network's outputs that was seen."""


def to_onnx(network: nn.Module, images: Tensor) -> Exported:
    """The network as an ONNX model with the input ``images`` and the output ``logits``.

    Args:
        network: In evaluation mode, on the CPU.
        images: (B, C, H, W), B at least 2, normalized: what it is checked on, also one by one.

    Raises:
        UserError: The packages that this needs are not there, or the network cannot be exported.
        OpenPruneError: The model gives other outputs.
    """
    require_packages()
    with _quietly(), _failures("ONNX"):
        program = torch.onnx.export(
            network,
            _example(images),
            dynamo=True,
            dynamic_shapes=_any_batch(),
            input_names=[_IMAGES],
            output_names=[_LOGITS],
            external_data=False,
            verbose=False,
        )
        model: Any = program.model_proto if program is not None else None
        _forget_sources(model)
        data: bytes = model.SerializeToString(deterministic=True)
        run = onnx_runner(data)
    return Exported(data, _checked("ONNX", network, run, images))


def onnx_runner(data: bytes) -> Callable[[Tensor], Tensor]:
    """What an ONNX model gives for images, by onnxruntime on the CPU.

    Raises:
        UserError: onnxruntime is not there.
    """
    require_packages()
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors alone
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        (logits,) = session.run([_LOGITS], {_IMAGES: images.numpy()})
        return torch.from_numpy(logits)

    return run


def to_torch_export(network: nn.Module, images: Tensor) -> Exported:
    """The network as ``torch.export.save`` writes it (.pt2).

    Args:
        network: In evaluation mode, on the CPU.
        images: As for ``to_onnx``.

    Raises:
        UserError: The network cannot be exported.
        OpenPruneError: The program gives other outputs.
    """
    with _quietly(), _failures("torch.export"):
        program = torch.export.export(network, _example(images), dynamic_shapes=_any_batch())
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # names files of this machine
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        loaded = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    return Exported(buffer.getvalue(), _checked("torch.export", network, loaded, images))


def _checked(
    what: str, network: nn.Module, run: Callable[[Tensor], Tensor], images: Tensor
) -> float:
    """The largest difference, of all images together and of the first alone.

    Raises:
        OpenPruneError: It is too large.
    """
    with torch.no_grad(), _failures(what):
        pairs = [(network(batch), run(batch)) for batch in (images, images[:1])]
    difference = max(float((ours - theirs).abs().max()) for ours, theirs in pairs)
    scale = max(1.0, float(pairs[0][0].abs().max()))
    if not difference <= TOLERANCE * scale:  # also where it is not a number
        raise OpenPruneError(
            f"The export to {what} gives outputs that differ from the network's by up to "
            f"{difference:.3g}; up to {TOLERANCE * scale:.3g} is allowed. It was not written."
        )
    return difference


def _example(images: Tensor) -> tuple[Tensor]:
    """Images without content: a file may hold them."""
    return (torch.zeros_like(images[:2], memory_format=torch.contiguous_format),)


def _any_batch() -> tuple[dict[int, Any], ...]:
    return ({0: torch.export.Dim("batch")},)


def require_packages() -> None:
    """Refuse to go on without what writing ONNX needs.

    Raises:
        UserError: A package is missing; says how to install it.
    """
    try:
        for name in ONNX_PACKAGES:
            import_module(name)
    except ImportError as error:
        raise UserError(
            f"Writing ONNX needs {', '.join(ONNX_PACKAGES)} ({error}). "
            f"Install them: pip install {' '.join(ONNX_PACKAGES)}"
        ) from error


def _forget_sources(model: Any) -> None:  # noqa: ANN401 - a message of protobuf
    """Remove what the exporter noted of where each node came from: files of this machine."""
    for holder in (model, model.graph, *model.graph.node, *model.graph.value_info):
        holder.ClearField("metadata_props")
    for function in model.functions:
        for holder in (function, *function.node):
            holder.ClearField("metadata_props")


@contextmanager
def _quietly() -> Iterator[None]:
    """Within it, exporters say nothing: what they warn of is checked by results."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _failures(what: str) -> Iterator[None]:
    """Turn whatever an exporter raises into a message."""
    try:
        yield
    except OpenPruneError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"This network cannot be exported to {what}: {lines[0]}") from error
