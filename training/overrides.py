"""How a branch states hyperparameters anew: its flags for them, and the recipe that they make.

A class decorated with ``restating`` has a field for each of a group's, prefixed: ``finetune_lr``.
None is what the parent has; ``finetune_without`` names what the parent has and this has not. What
is given takes along what would contradict it (``overridden``), so that another schedule needs no
flags that empty the one before.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, cast, get_args

from dataclasses_json import config
from typing_extensions import Doc

from datasets import DATASETS
from foundations.errors import UserError
from foundations.hparams import Hparams, field_types
from foundations.steps import Step
from training import OPTIMIZERS, SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from foundations.hparams import Json
    from foundations.registry import Registry, Version
    from training.description import TrainDesc

Class = TypeVar("Class", bound="type[Restating]")

_ADDED = "restated"
"""Where the metadata of a field says of which field it is the restatement."""

_WITHOUT = "without"
_WITHOUT_HELP = (
    "What the parent has and this has not: gamma, folder, ..., names of flags of 'train'."
)

_NAMES_OF: dict[str, tuple[str, Registry[Any]]] = {
    "optimizer_name": ("optimizer", OPTIMIZERS),
    "lr_schedule": ("lr_schedule", SCHEDULES),
    "dataset_name": ("dataset", DATASETS),
}
"""The fields that name what is registered, and may have a version."""


@dataclass(frozen=True, kw_only=True)
class Restating(Hparams):
    """Base of hyperparameters with fields that ``restating`` has added."""

    prefix: ClassVar[str]
    """What their names begin with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_without()

    def given(self) -> dict[str, Any]:
        """The values that are stated anew, by their names without the prefix."""
        values = {name: getattr(self, f"{self.prefix}_{name}") for name in _added(type(self))}
        given = {name: value for name, value in sorted(values.items()) if value is not None}
        return given | dict.fromkeys(self._without)

    @property
    def _without(self) -> tuple[str, ...]:
        return cast("tuple[str, ...]", getattr(self, f"{self.prefix}_{_WITHOUT}"))

    def _check_without(self) -> None:
        """Refuse to take away what must have a value, or is given one."""
        added, field = _added(type(self)), f"{self.prefix}_{_WITHOUT}"
        allowed = sorted(name for name, optional in added.items() if optional)
        for name in self._without:
            self.require(name in allowed, field, f"of any of {', '.join(allowed)}")
            twice = getattr(self, f"{self.prefix}_{name}") is not None
            self.require(not twice, field, f"--{self.prefix}_{name} is given")

    def restated(self, recipe: TrainDesc) -> TrainDesc:
        """The recipe with what is stated anew.

        Raises:
            UserError: It does not go together with the rest.
        """
        try:
            return overridden(recipe, self.given())
        except UserError as error:
            raise UserError(f"With the flags that begin with --{self.prefix}_: {error}") from None

    def versions(self) -> Mapping[str, Version]:
        """The versions of what is named anew."""
        named = {name: text for name, text in self.given().items() if name in _NAMES_OF}
        found = {_NAMES_OF[name]: text for name, text in named.items()}
        own = {f"{what}:{text}": kinds.version(text) for (what, kinds), text in found.items()}
        return {**super().versions(), **own}


def restating(prefix: str, *groups: type[Hparams], **defaults: object) -> Callable[[Class], Class]:
    """A decorator, to be put below ``@dataclass``: the fields of these groups, prefixed.

    Args:
        prefix: What comes before each name, without the underscore.
        groups: Whose fields.
        **defaults: What is not the parent's unless a flag says otherwise; by name, no prefix.
    """

    def add(kind: Class) -> Class:
        kind.prefix = prefix
        taken_away: Any = Annotated[tuple[str, ...], Doc(_WITHOUT_HELP)]
        kind.__annotations__[f"{prefix}_{_WITHOUT}"] = taken_away
        setattr(kind, f"{prefix}_{_WITHOUT}", ())
        for group in groups:
            types = field_types(group)
            for field in dataclasses.fields(group):
                name = f"{prefix}_{field.name}"
                kind.__annotations__[name] = _optional(types[field.name], field.name)
                optional = type(None) in get_args(types[field.name])
                setattr(kind, name, _field(field, defaults.get(field.name), optional=optional))
        return kind

    return add


def overridden(recipe: TrainDesc, given: Mapping[str, Any]) -> TrainDesc:
    """The recipe with other values of some flags, and without what they put out of force.

    No milestones need no gamma, another schedule no milestones, ``one_cycle`` no warm-up, another
    optimizer than SGD no momentum, and another data set no folder, unless these are given too.
    """
    implied: dict[str, object] = {}
    if given.get("lr_schedule", "milestones") != "milestones":
        implied |= {"milestone_steps": (), "gamma": None}
    if given.get("milestone_steps") == ():
        implied |= {"gamma": None}
    if given.get("lr_schedule") == "one_cycle":
        implied |= {"warmup_steps": None}
    if given.get("optimizer_name", "sgd") != "sgd":
        implied |= {"momentum": 0.0, "nesterov_momentum": 0.0}
    if given.get("dataset_name", recipe.dataset.dataset_name) != recipe.dataset.dataset_name:
        implied |= {"folder": None, "folder_digest": None, "image_size": None}
    if "folder" in given:
        implied |= {"folder_digest": None}
    return recipe.replaced(**implied | dict(given)) if given else recipe


def _optional(kind: Any, name: str) -> Any:  # noqa: ANN401 - annotations
    return Annotated[kind | None, Doc(f"As --{name} of 'train'; None: as the parent has it.")]


def _field(like: dataclasses.Field[Any], default: object, *, optional: bool) -> Any:  # noqa: ANN401 - dataclasses.field's own
    hashed = like.metadata.get("hashed", True)
    own = {_ADDED: (like.name, optional), "hashed": hashed}
    return dataclasses.field(default=default, metadata=own | config(encoder=_written))


def _added(kind: type[Restating]) -> dict[str, bool]:
    """The names of the fields that were added, no prefix, and whether they may have no value."""
    marks = (field.metadata.get(_ADDED) for field in dataclasses.fields(kind))
    return dict(mark for mark in marks if mark is not None)


def _written(value: object) -> Json:
    """A value for JSON: steps as text, several in one."""
    if isinstance(value, tuple) and all(isinstance(item, Step) for item in value):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, Step) else value
