"""How a network is kept in a folder that can be given away, and loaded without what made it.

Two files: ``model.safetensors``, and ``architecture.json``, which is written last and is the truth:
it holds the graph, what is known of the network, the sha256 of the tensors and one of itself. A
folder without it holds no network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from foundations.errors import DamageError, UserError
from foundations.facts import is_checksums
from foundations.files import changed, read_json, sha256_of, verify, write_json
from foundations.tensors import load_tensors, save_tensors
from models.portable.describe import described, rebuilt, tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import fx, nn

    from foundations.hparams import Json

ARCHITECTURE, TENSORS = "architecture.json", "model.safetensors"
_FORMAT = "open_prune network"


def save_compacted(folder: Path, module: fx.GraphModule, facts: Mapping[str, Json]) -> None:
    """Keep a network in a folder, which is made; what lay there under these names is replaced.

    Args:
        folder: Where to.
        module: The graph of evaluation mode, of modules of torch.nn and functions of torch.
        facts: What is known of it, as JSON: ``shape`` (channels, height, width of the images),
            ``classes``, and whatever else.

    Raises:
        UserError: The network does something that a file cannot say; or the folder cannot be
            written to.
        OpenPruneError: The disk is full, or fails.
    """
    network = described(module)
    sha256 = save_tensors(folder / TENSORS, tensors(module))
    content = {"format": _FORMAT, **facts, "sha256": {TENSORS: sha256}, "network": network}
    write_json(folder / ARCHITECTURE, {**content, "sha256_of_this": _digest(content)})


def load_compacted(folder: str | Path) -> nn.Module:
    """A network that ``compact`` wrote, in evaluation mode, on the CPU.

    It maps images, normalized as the run's were, (batch, channels, height, width), to logits
    (batch, classes), in the type of its weights: float32 unless the run was in float64. What is
    known of it (``shape``, ``classes``, ``source``, ...) is in its ``meta``. Nothing of the run
    that made it is needed; only operations of torch are called, whatever the files say.

    Args:
        folder: With ``architecture.json`` and ``model.safetensors``.

    Raises:
        UserError: There is no network there, or its file names what it may not.
        DamageError: A file is not what was written.
    """
    folder = Path(folder)
    content = known(folder)
    if content is None:
        raise UserError(
            f"There is no network in {folder}: it has no {ARCHITECTURE}. 'open_prune.py compact "
            "RUN' writes one."
        )
    values = load_tensors(folder / TENSORS, content["sha256"][TENSORS]).tensors
    try:
        network = rebuilt(content["network"], values)
    except UserError as error:
        raise UserError(f"{folder / ARCHITECTURE} cannot be loaded. {error}") from error
    network.meta.update({key: value for key, value in content.items() if key != "network"})
    return network


def known(folder: Path, *, whole: bool = False) -> dict[str, Json] | None:
    """What the truth of a folder says; None where there is no network.

    Args:
        folder: Where the network is.
        whole: Whether the tensors are checked too.

    Raises:
        DamageError: A file is not what was written.
    """
    file = folder / ARCHITECTURE
    try:
        content = read_json(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise DamageError(f"{file} is damaged, or no file of a network that open_prune wrote.")
    if content.pop("sha256_of_this", None) != _digest(content):
        raise changed(file)
    sums: Json = content.get("sha256")
    if not is_checksums(sums) or TENSORS not in sums or "network" not in content:
        raise DamageError(f"{file} is damaged: it holds no network, or no checksum of its tensors.")
    if whole:
        verify(folder / TENSORS, content["sha256"][TENSORS])
    return cast("dict[str, Json]", content)


def _digest(content: Mapping[str, Json]) -> str:
    """Of JSON, however it is laid out."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256_of(text.encode())
