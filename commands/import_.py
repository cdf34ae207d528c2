"""``import``: weights from elsewhere become a run, from which branches grow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from branches.describing import pinned
from commands.flags import parse
from commands.hparams import CommandFlags
from commands.parsing import platform_flags, preset_description
from commands.work import Work, carry_out
from foundations.errors import UserError
from foundations.hparams import Hparams, optional_step_field
from foundations.steps import Step
from training.hparams import RunOptions
from training.imported import ImportDesc, WeightsHparams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.description import TrainDesc

ABOUT = """Make a run of weights that were saved elsewhere, from which branches grow.

WEIGHTS is a .safetensors file, or a state dict that torch.save wrote (.pth, .pt), alone or under
'state_dict', 'model_state_dict', 'model' or 'net'. The run is named by their content. The flags of
'train' say which network they are of, and how branches train on."""


@dataclass(frozen=True, kw_only=True)
class ImportFlags(Hparams):
    """How the weights are read."""

    import_step: Step | None = optional_step_field()
    """The step of training that the weights are at; training goes on from there. By default its
    end: the run is complete at once."""

    rename: tuple[str, ...] = ()
    """Change the beginnings of the names in the file to those of the network: old=new,old2=new2."""


def import_weights(arguments: Sequence[str]) -> None:
    """Parse the flags, read the weights, and make the run."""
    words = [word for word in arguments[:1] if not word.startswith("-")]
    flags = parse(
        "open_prune.py import WEIGHTS",
        ABOUT,
        {
            "command": CommandFlags,
            "weights": ImportFlags,
            "description": preset_description(arguments),
            "options": RunOptions,
            "platform": platform_flags(arguments),
        },
        arguments[len(words) :],
    )
    if not words:
        raise UserError("Which weights? Write open_prune.py import WEIGHTS [flags].")
    recipe = pinned(flags.pop("description"), flags["platform"])
    made = described(words[0], recipe, flags.pop("weights"))
    carry_out(Work(descriptions=(made,), **flags))


def described(path: str, recipe: TrainDesc, flags: ImportFlags) -> ImportDesc:
    """The description of these weights, read to know their content.

    Raises:
        UserError: The file is not there, or holds no weights.
    """
    from foundations.tensors import digest
    from training.weight_files import read_weights

    content = digest(read_weights(path, flags.rename))
    weights = WeightsHparams(
        content=content,
        import_step=flags.import_step,
        path=str(Path(path).expanduser().resolve()),
        rename=flags.rename,
    )
    return ImportDesc(
        model=recipe.model, dataset=recipe.dataset, training=recipe.training, weights=weights
    )
