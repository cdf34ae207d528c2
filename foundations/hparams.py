"""Hyperparameters: frozen dataclasses that know their canonical form.

Two values with one canonical form are the same hyperparameters, and give the same run name. When an
instance is made, each value becomes one of its field's type, or is refused: ``2.0`` given for an
int is ``2``, and floats are rounded to 12 significant digits, so ``1 - .8**3`` is ``.488``. So the
value that is hashed is the value that is used.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import MISSING, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dataclasses_json import DataClassJsonMixin, config

from foundations.errors import UserError
from foundations.fields import show, typed
from foundations.plugins import digest_of
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from foundations.registry import Version

T = TypeVar("T")
Json = Any
"""What ``json.loads`` returns."""


@dataclass(frozen=True, kw_only=True)
class Hparams(DataClassJsonMixin):
    """Base of all hyperparameters: takes values of its fields' types, names by canonical form.

    A subclass is a frozen, keyword-only dataclass with a docstring under each field, and a
    ``check`` that refuses bad values.
    """

    def __post_init__(self) -> None:
        kinds = field_types(type(self))
        for field in dataclasses.fields(self):
            value = typed(field.name, getattr(self, field.name), kinds[field.name])
            object.__setattr__(self, field.name, value)
        self.check()

    @classmethod
    def from_dict(cls, kvs: Json, *, infer_missing: bool = False) -> Self:  # noqa: ARG003 - the base's
        """The hyperparameters of this JSON, as strict as those made in Python.

        Dataclasses-json would read ``"false"`` as True, and ``1.5`` as 1 for an int.
        """
        kinds = field_types(cls)
        return cls(**{name: _nested(value, kinds.get(name)) for name, value in kvs.items()})

    def check(self) -> None:
        """Refuse values that make no sense.

        Raises:
            UserError: Names the field, its value and what is allowed.
        """

    def versions(self) -> Mapping[str, Version]:
        """The versions of the registered functions these hyperparameters name."""
        return {}

    def hashed_versions(self) -> dict[str, Version]:
        """The versions above 1, and the digests of plugins, these classes' own among them."""
        own = {f"class:{kind.__name__}": digest_of(kind) for kind in type(self).__mro__}
        every = {**self.versions(), **own}
        return {name: version for name, version in every.items() if version != 1}

    def canonical(self) -> dict[str, Json]:
        """What is hashed: required fields, and those that differ from their defaults."""
        defaults = _defaults(type(self))
        values = {name: canonical(getattr(self, name)) for name in defaults}
        found = {name: value for name, value in values.items() if value != defaults[name]}
        versions = self.hashed_versions()
        return found | ({"versions": versions} if versions else {})

    def flags(self) -> list[str]:
        """The flags that give these values: of the fields that are not as they are by default."""
        return [
            flag_of(field.name, value)
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        ]

    def require(self, ok: bool, field: str, allowed: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Refuse the value of a field unless ``ok``."""
        if not ok:
            raise UserError(f"{field}={show(getattr(self, field))} is not allowed: {allowed}.")

    def require_seed(self, *fields: str) -> None:
        """Refuse a seed below 0; None, which follows the replicate, is allowed."""
        for field in fields:
            seed = getattr(self, field)
            self.require(seed is None or seed >= 0, field, "a seed is a whole number, 0 or more")


def flag_of(name: str, value: object) -> str:
    """A flag of the command line: ``--lr=0.1``, ``--quiet``, ``--evaluate_on=test,train``."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no_{name}"
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"--{name}={text}"


def not_hashed(default: T, **options: Any) -> T:  # noqa: ANN401 - dataclasses.field's own
    """A field that says where or how, not what: it stays out of the canonical form."""
    metadata = {"hashed": False, **options.pop("metadata", {})}
    return dataclasses.field(default=default, metadata=metadata, **options)


def step_field(default: Step) -> Step:
    """A field that holds a step, written in JSON as text: ``"160ep"``."""
    metadata = config(encoder=str)
    return dataclasses.field(default=default, metadata=metadata)


def required_step_field() -> Step:
    """A field that holds a step and has no default."""
    metadata = config(encoder=str)
    return typing.cast("Step", dataclasses.field(metadata=metadata))


def optional_step_field() -> Step | None:
    """A field that holds a step or nothing."""
    metadata = config(encoder=lambda step: None if step is None else str(step))
    return typing.cast("Step | None", dataclasses.field(default=None, metadata=metadata))


def steps_field() -> tuple[Step, ...]:
    """A field that holds several steps, written as one text: ``"80ep,120ep"``."""
    metadata = config(encoder=lambda steps: ",".join(map(str, steps)))
    return typing.cast("tuple[Step, ...]", dataclasses.field(default=(), metadata=metadata))


def canonical(value: object) -> Json:
    """A value as JSON that is equal for equal hyperparameters."""
    match value:
        case Step():
            return [value.epoch, value.iteration]
        case None | bool() | int() | float() | str():
            return value
        case tuple() | list():
            return [canonical(item) for item in value]
    form = getattr(value, "canonical", None)
    if form is None:
        raise TypeError(f"{type(value).__name__} cannot be a hyperparameter: {value!r}")
    return form()


def hashed_fields(kind: type[Hparams]) -> Iterator[dataclasses.Field[Any]]:
    """The fields that decide results, in the order of their names."""
    for field in sorted(dataclasses.fields(kind), key=lambda field: field.name):
        if field.metadata.get("hashed", True):
            yield field


@cache
def _defaults(kind: type[Hparams]) -> dict[str, Json]:
    """What a hashed field has unless it is given, in canonical form; MISSING where it must be."""
    return {
        field.name: MISSING if field.default is MISSING else canonical(field.default)
        for field in hashed_fields(kind)
    }


@cache
def field_types(kind: type[Hparams]) -> dict[str, Any]:
    """The resolved annotation of each field."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _nested(value: Json, kind: object) -> object:
    """A group of hyperparameters within another one; any other value as it is."""
    for option in (kind, *typing.get_args(kind)):
        if isinstance(option, type) and issubclass(option, Hparams) and isinstance(value, dict):
            return option.from_dict(value)
    return value
