"""What an ``hparams.log`` of OpenLTH says: text for the eye, read back into hyperparameters.

A section has a title, and below it a line ``    * name => value`` for each hyperparameter that is
not at its default.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from datasets.hparams import DatasetHparams
from foundations.errors import UserError
from foundations.files import read_text
from foundations.hparams import Hparams, field_types
from models.hparams import ModelHparams
from training.hparams import TrainingHparams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Sections = Mapping[str, Mapping[str, str]]

HparamsT = TypeVar("HparamsT", bound=Hparams)

_LINE = re.compile(r"\s+\* (?P<name>\w+) => (?P<value>.*)")
_TITLES = {
    "dataset": re.compile(r"Dataset Hyperparameters"),
    "model": re.compile(r"Model Hyperparameters"),
    "training": re.compile(r"Training Hyperparameters"),
    "pruning": re.compile(r".*Pruning.*"),
    "pretrain_dataset": re.compile(r"Pretraining Dataset Hyperparameters"),
    "pretrain_training": re.compile(r"Pretraining Training Hyperparameters"),
    "branch": re.compile(r"Branch .*"),
}
"""The section of each title; what prunes has a title of its own for each strategy."""

_MEANINGLESS = {("subset_stride", "1")}
"""What is written down though it says nothing."""

_RENAMED = {("model_init", "standard_normal"): "scaled_normal"}
"""Values that are called otherwise here: OpenLTH's standard normal has a deviation of 0.1."""

_SCALARS: dict[object, Callable[[str], object]] = {int: int, float: float, str: str}


@dataclass(frozen=True)
class Pruning:
    """How the levels of a lottery are pruned: by magnitude, of all layers together."""

    fraction: float
    ignored: tuple[str, ...]


def read_sections(path: Path) -> Sections:
    """The values of each section of a file, as texts.

    Raises:
        UserError: There is no such file, or it is none of OpenLTH's; names the line.
    """
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError:
        raise UserError(f"{path} is missing: what was trained is not known") from None
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] | None = None
    for line in filter(str.strip, lines):
        if (match := _LINE.fullmatch(line)) and section is not None:
            section[match["name"]] = match["value"].strip()
        elif titles := [name for name, form in _TITLES.items() if form.fullmatch(line.strip())]:
            section = found.setdefault(titles[-1], {})
        else:
            raise UserError(f"{path} cannot be understood: {line.strip()!r}")
    return found


def hparams_in(kind: type[HparamsT], sections: Sections, section: str, path: Path) -> HparamsT:
    """The hyperparameters of a section.

    Raises:
        UserError: It is missing, or has a name or value that there is not here.
    """
    if section not in sections:
        raise UserError(f"{path} cannot be understood: it has no section of {section}")
    types = field_types(kind)
    values: dict[str, Any] = {}
    for name, text in sections[section].items():
        if (name, text) in _MEANINGLESS:
            continue
        if name not in types:
            raise UserError(f"{path} cannot be understood: there is no {name} ({text}) here")
        try:
            values[name] = _value(_RENAMED.get((name, text), text), types[name])
        except ValueError:
            raise UserError(f"{path} cannot be understood: {name} => {text}") from None
    try:
        return kind(**values)
    except (UserError, TypeError) as error:
        raise UserError(f"{path} cannot be understood: {error}") from error


def groups(
    sections: Sections, path: Path, prefix: str = ""
) -> tuple[ModelHparams, DatasetHparams, TrainingHparams]:
    """Network, data and training, of the pre-training with the prefix ``pretrain_``.

    Raises:
        UserError: As ``hparams_in``.
    """
    return (
        hparams_in(ModelHparams, sections, "model", path),
        hparams_in(DatasetHparams, sections, f"{prefix}dataset", path),
        hparams_in(TrainingHparams, sections, f"{prefix}training", path),
    )


def pruning_in(sections: Sections, path: Path) -> Pruning:
    """How a lottery prunes.

    Raises:
        UserError: By another strategy than the one that OpenLTH has.
    """
    values = sections.get("pruning", {})
    strategy = values.get("pruning_strategy")
    if strategy != "sparse_global":
        raise UserError(f"{path} cannot be understood: pruning_strategy => {strategy}")
    try:
        fraction = float(values.get("pruning_fraction", "0.2"))
    except ValueError as error:
        raise UserError(f"{path} cannot be understood: pruning_fraction, {error}") from error
    ignored = values.get("pruning_layers_to_ignore", "")
    return Pruning(fraction, tuple(name.strip() for name in ignored.split(",") if name.strip()))


def retraining_in(sections: Sections, path: Path) -> tuple[DatasetHparams, TrainingHparams]:
    """The data and training of a branch that states them anew.

    Raises:
        UserError: They cannot be understood.
    """
    stated = sections.get("branch", {})
    nested = {
        group: _nested(stated.get(name, ""), path)
        for group, name in (("dataset", "retrain_d"), ("training", "retrain_t"))
    }
    return (
        hparams_in(DatasetHparams, nested, "dataset", path),
        hparams_in(TrainingHparams, nested, "training", path),
    )


def _nested(text: str, path: Path) -> dict[str, str]:
    """The values of ``Hparams(lr=0.1, optimizer_name='sgd')``, as texts."""
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError(text)  # noqa: TRY301 - one message for all of it
        return {str(word.arg): str(ast.literal_eval(word.value)) for word in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be understood: {text!r}") from error


def _value(text: str, kind: Any) -> object:  # noqa: ANN401 - an annotation
    """A value as the field's type reads it; steps are left to the field.

    Raises:
        ValueError: It is none.
    """
    options = get_args(kind) or (kind,)
    if text == "None" and type(None) in options:
        return None
    if bool in options:
        return {"True": True, "False": False}[text] if text in {"True", "False"} else _wrong(text)
    return next((read(text) for one, read in _SCALARS.items() if one in options), text)


def _wrong(text: str) -> object:
    raise ValueError(text)
