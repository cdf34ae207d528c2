"""What a run is: a description, its name, and how both are written down and read back.

``name_of`` is a promise: the same description has the same name in every later version. A field
may be added if its default is what was done before; a default never changes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

from dataclasses_json import config

from foundations.errors import DamageError
from foundations.fields import show, typed
from foundations.hparams import Hparams, Json, field_types, hashed_fields
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foundations.registry import Registry

_REMEMBERED = 4096
"""So many descriptions and groups that were read are kept: reading one takes a millisecond."""


@dataclass(frozen=True, kw_only=True)
class Description(Hparams):
    """A run without its replicate number: everything that decides its results."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The name of this kind of run, as the command line has it: ``train``, ``oneshot``."""

    @abstractmethod
    def runs(self) -> tuple[RunRef, ...]:
        """The runs whose states this one needs, the parent first; none for a training job."""

    @cached_property
    def name(self) -> str:
        """The kind and 16 hex digits of the hash: ``train_0123456789abcdef``."""
        text = json.dumps(
            {"kind": self.kind} | self.canonical(), sort_keys=True, separators=(",", ":")
        )
        return f"{self.kind}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def to_json_dict(self) -> dict[str, Json]:
        """The whole description as JSON, defaults included, with its ``kind``."""
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"kind": self.kind} | {
            name: part.to_json_dict() if isinstance(part, Description) else part.to_dict()
            for name, part in parts.items()
        }


@dataclass(frozen=True)
class RunRef:
    """A state of another run: its description, its replicate and the step of the state.

    Args:
        description: What the run is.
        replicate: Which of its repetitions; None is the replicate of the run that refers to it.
        step: Which state; None is the state at the end of training.
    """

    description: Description
    replicate: int | None = None
    step: Step | None = None

    def __post_init__(self) -> None:
        kinds = {"description": Description, "replicate": int | None, "step": Step | None}
        for name, kind in kinds.items():
            object.__setattr__(self, name, typed(name, getattr(self, name), kind))

    def canonical(self) -> Json:
        """The run by its name, and the state."""
        step = None if self.step is None else [self.step.epoch, self.step.iteration]
        return {"run": self.description.name, "replicate": self.replicate, "step": step}

    def to_json_dict(self) -> dict[str, Json]:
        """The reference with the whole description it refers to."""
        return {
            "description": self.description.to_json_dict(),
            "replicate": self.replicate,
            "step": None if self.step is None else str(self.step),
        }


@dataclass(frozen=True, kw_only=True)
class BranchHparams(Hparams):
    """Base of the hyperparameters of a branch. A subclass states its ``kind``."""

    kind: ClassVar[str]

    def refs(self) -> tuple[RunRef, ...]:
        """The runs named in the fields of this branch."""
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        flat = (
            item for value in values for item in (value if isinstance(value, tuple) else [value])
        )
        return tuple(item for item in flat if isinstance(item, RunRef))


@dataclass(frozen=True, kw_only=True)
class BranchDesc(Description):
    """A run that begins from saved states of other runs, a parent's above all."""

    parent: Description
    """The run that is branched from."""

    branch: BranchHparams
    """What is done to its state."""

    @property
    def kind(self) -> str:
        """The kind of the branch."""
        return self.branch.kind

    def runs(self) -> tuple[RunRef, ...]:
        """The parent, then the runs that fields of the branch name."""
        return (RunRef(self.parent), *self.branch.refs())

    def canonical(self) -> dict[str, Json]:
        """The parent by its name alone: its own hash covers all that is in it."""
        return {"parent": self.parent.name, "branch": self.branch.canonical()}


def run_ref_field() -> RunRef | None:
    """A field of a branch that names a state of another run, or nothing."""
    metadata = config(encoder=lambda ref: None if ref is None else ref.to_json_dict())
    return cast("RunRef | None", dataclasses.field(default=None, metadata=metadata))


def run_refs_field() -> tuple[RunRef, ...]:
    """A field of a branch that names states of several other runs; their order counts."""
    metadata = config(encoder=lambda refs: [ref.to_json_dict() for ref in refs])
    return cast("tuple[RunRef, ...]", dataclasses.field(default=(), metadata=metadata))


def decode(data: Json, kinds: Registry[Any]) -> Description:
    """The description that ``to_json_dict`` wrote; of equal JSON, the same one.

    Args:
        data: The JSON.
        kinds: What each ``kind`` is: a ``Description`` or the ``BranchHparams`` of a branch.

    Raises:
        DamageError: It is no description, or has fields that this version does not know.
        UserError: A kind, or a value, that is not allowed.
    """
    return _decoded(json.dumps(data), kinds)


@lru_cache(maxsize=_REMEMBERED)
def _decoded(text: str, kinds: Registry[Any]) -> Description:
    """The description: of a thousand runs, most have a parent, a network and data in common."""
    data = json.loads(text)
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise DamageError("This is no description of a run: it has no 'kind'.")
    kind = kinds[data["kind"]]
    parts = {name: part for name, part in data.items() if name != "kind"}
    if issubclass(kind, BranchHparams):
        _refuse_unknown(parts, BranchDesc, data["kind"])
        branch = parts.get("branch", {})
        branch = {name: _decode_ref(value, kinds) for name, value in branch.items()}
        return BranchDesc(
            parent=decode(parts.get("parent"), kinds),
            branch=_group(kind, branch, data["kind"]),
        )
    _refuse_unknown(parts, kind, data["kind"])
    fields = {field.name: _part_type(kind, field.name) for field in dataclasses.fields(kind)}
    made = {name: _group(fields[name], part, name) for name, part in parts.items()}
    return cast("Description", kind(**made))


def plugins_of(value: object) -> set[str]:
    """The digests of the plugins that a description, or a part of one, stands on."""
    if isinstance(value, RunRef):
        return plugins_of(value.description)
    if isinstance(value, tuple):
        return set[str]().union(*map(plugins_of, value))
    if not isinstance(value, Hparams):
        return set()
    own = {version for version in value.hashed_versions().values() if isinstance(version, str)}
    parts = (getattr(value, field.name) for field in dataclasses.fields(value))
    return own.union(*map(plugins_of, parts))


def differences(stored: Description, asked: Description) -> list[str]:
    """The hashed fields in which two descriptions differ, a line each."""
    left, right = dict(_flat(stored)), dict(_flat(asked))
    return [
        f"{name}: {left.get(name, '(absent)')} in the directory, {right.get(name, '(absent)')} "
        "asked for"
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    ]


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every hashed leaf of a description with its dotted name."""
    if isinstance(value, RunRef):
        yield f"{path}replicate", str(value.replicate)
        yield f"{path}step", str(value.step)
        yield from _flat(value.description, path)
    elif isinstance(value, Hparams):
        if isinstance(value, Description):
            yield f"{path}kind", value.kind
        for field in hashed_fields(type(value)):
            yield from _flat(getattr(value, field.name), f"{path}{field.name}.")
    elif isinstance(value, tuple) and any(isinstance(item, RunRef) for item in value):
        for place, item in enumerate(value):
            yield from _flat(item, f"{path}{place}.")
    else:
        yield path.rstrip("."), show(value)


def _decode_ref(value: Json, kinds: Registry[Any]) -> Json:
    """The run, or the list of runs, that a field names; any other value as it is."""
    if isinstance(value, list):
        return [_decode_ref(item, kinds) for item in value]
    if not (isinstance(value, dict) and value.keys() == {"description", "replicate", "step"}):
        return value
    return RunRef(decode(value["description"], kinds), value["replicate"], value["step"])


def _part_type(kind: type[Description], name: str) -> type[Hparams]:
    return cast("type[Hparams]", field_types(kind)[name])


def _group(kind: type[Hparams], data: Json, where: str) -> Any:  # noqa: ANN401 - of that kind
    """A group of hyperparameters; of equal JSON, the same one."""
    try:
        text = json.dumps(data)
    except TypeError:  # it names other runs
        return _from_dict(kind, data, where)
    return _remembered_group(kind, text, where)


@lru_cache(maxsize=_REMEMBERED)
def _remembered_group(kind: type[Hparams], text: str, where: str) -> Any:  # noqa: ANN401 - as above
    return _from_dict(kind, json.loads(text), where)


def _from_dict(kind: type[Hparams], data: Json, where: str) -> Any:  # noqa: ANN401 - of that kind
    if not isinstance(data, dict):
        raise DamageError(f"{where!r} is not a group of hyperparameters: {data!r}.")
    _refuse_unknown(data, kind, where)
    required = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if absent := required - data.keys():
        raise DamageError(f"{where!r} lacks {', '.join(sorted(absent))}.")
    return kind.from_dict(data)


def _refuse_unknown(data: dict[str, Json], kind: type[Hparams], where: str) -> None:
    if extra := data.keys() - {field.name for field in dataclasses.fields(kind)}:
        raise DamageError(
            f"{where!r} has fields that this version does not know: {', '.join(sorted(extra))}. "
            "It was written by a newer version, or by hand."
        )
