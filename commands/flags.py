"""How flags become hyperparameters: groups of dataclasses, one flat list of flags.

Every command states the groups it takes. The fields of all groups are flags of their own names, so
a field that is added anywhere is a flag with its default and its help.
"""

from __future__ import annotations

import dataclasses
import inspect
import io
import re
import typing
from contextlib import redirect_stderr
from difflib import get_close_matches
from itertools import takewhile, zip_longest
from typing import TYPE_CHECKING, Any, cast

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec

from commands.hparams import PluginFlags
from foundations.description import Description, RunRef
from foundations.errors import UserError
from foundations.fields import show
from foundations.hparams import Hparams, field_types
from foundations.steps import Step, parse_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    FindRun = Callable[[str], RunRef]
    """The run that the user names."""


_MANY = 10_000

ELSEWHERE = {
    "--learning_rate": "--lr",
    "--epochs": "--training_steps",
    "--model": "--model_name",
    "--dataset": "--dataset_name",
    "--optimizer": "--optimizer_name",
    "--preset": "--default_hparams",
    "--sparsity": "--prune_fraction",
    "--thresholds": "--prune_fractions",
    "--n_rounds": "--prune_iterations",
    "--warmup_epochs": "--prune_after",
    "--lr_prune": "--prune_lr",
}
"""What flags are called in other places."""


class HelpShown(Exception):  # noqa: N818 - not an error
    """The help was asked for and has been printed."""


def parse(
    command: str,
    about: str,
    groups: Mapping[str, Hparams | type[Hparams]],
    arguments: Sequence[str],
    find_run: FindRun | None = None,
) -> dict[str, Any]:
    """The groups with the values that the flags give.

    Args:
        command: What precedes the flags: ``"open_prune.py train"``.
        about: What the command does, for its help.
        groups: By name, hyperparameters whose values are the defaults, or a type of them.
        arguments: The flags.
        find_run: Finds a run by the name that a flag gives.

    Raises:
        UserError: A flag is unknown, or a value is not allowed.
        HelpShown: The help was asked for.
    """
    every = {**groups, "plugins": PluginFlags}
    parts = {name: part for group in every.items() for name, part in _parts(*group)}
    together = dataclasses.make_dataclass(
        "Flags",
        [(name, _type(part), _default(part)) for name, part in parts.items()],
        kw_only=True,
    )
    _refuse_unknown(command, arguments, every.values())
    noise = io.StringIO()
    try:
        with redirect_stderr(noise):
            made: Any = tyro.cli(
                cast("type[Any]", together),
                prog=command,
                description=inspect.cleandoc(about),
                args=[spelled(argument) for argument in arguments],
                use_underscores=True,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
                registry=_constructors(find_run),
            )
    except SystemExit as end:
        if not end.code:
            raise HelpShown from None
        raise UserError(_message(noise.getvalue(), command)) from None
    return {name: _together(name, group, made) for name, group in groups.items()}


def _parts(
    name: str, group: Hparams | type[Hparams]
) -> Iterator[tuple[str, Hparams | type[Hparams]]]:
    """A description's groups, each under its own name in the help; any other group as it is."""
    if isinstance(group, Description):
        yield from vars(group).items()
    else:
        yield name, group


def _together(name: str, group: Hparams | type[Hparams], made: object) -> Any:  # noqa: ANN401 - of the group's type
    if isinstance(group, Description):
        return type(group)(**{part: getattr(made, part) for part, _ in _parts(name, group)})
    return getattr(made, name)


def flag_names(group: Hparams | type[Hparams]) -> set[str]:
    """The flags of a group, nested groups included; a switch that is on has its negation."""
    names: set[str] = set()
    for name, hint in field_types(_type(group)).items():
        if isinstance(hint, type) and issubclass(hint, Hparams):
            names |= flag_names(hint)
        elif hint is bool:
            names.add(_switch(group, name))
        else:
            names.add(f"--{name}")
    return names


def _switches(group: Hparams | type[Hparams]) -> set[str]:
    """The flags of a group that take no value."""
    types = field_types(_type(group)).items()
    nested = (
        _switches(hint) for _, hint in types if isinstance(hint, type) and issubclass(hint, Hparams)
    )
    own = {_switch(group, name) for name, hint in types if hint is bool}
    return own.union(*nested)


def _switch(group: Hparams | type[Hparams], name: str) -> str:
    """The flag that turns a switch to what it is not."""
    return f"--no_{name}" if getattr(group, name) is True else f"--{name}"


def value_of(flag: str, arguments: Sequence[str]) -> str | None:
    """The last value of a flag that must be known before the others can be parsed."""
    values = values_of(flag, arguments)
    return values[-1] if values else None


def values_of(flag: str, arguments: Sequence[str]) -> list[str | None]:
    """All values of such a flag, in order; None is one that was left out."""
    values: list[str | None] = []
    for argument, following in zip_longest(map(spelled, arguments), arguments[1:]):
        if argument == flag:
            values.append(following)
        elif argument.startswith(f"{flag}="):
            values.append(argument.partition("=")[2])
    return values


def numbers(text: str) -> tuple[int, ...]:
    """The numbers of ``1-5,8``.

    Raises:
        UserError: It is not written like that.
    """
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not re.fullmatch(r"[0-9]+(-[0-9]+)?", part.strip()):
            raise UserError(f"{text!r} is not a list of numbers: write '1-5' or '1,3,5-7'.")
        if int(last or first) - int(first) > _MANY:
            raise UserError(f"{text!r} are more than {_MANY:,} replicates.")
        found += range(int(first), int(last or first) + 1)
    if not found:
        raise UserError(f"{text!r} names no number: write ranges upwards, '1-5'.")
    return tuple(dict.fromkeys(found))


def _type(group: Hparams | type[Hparams]) -> type[Hparams]:
    return group if isinstance(group, type) else type(group)


def _default(group: Hparams | type[Hparams]) -> Any:  # noqa: ANN401 - dataclasses.field's own
    return dataclasses.field() if isinstance(group, type) else dataclasses.field(default=group)


def leading_words(arguments: Sequence[str]) -> list[str]:
    """The words of a command before its first flag: names of runs, files."""
    return list(takewhile(lambda argument: not argument.startswith("-"), arguments))


def spelled(argument: str) -> str:
    """``--prune-fraction`` is understood as ``--prune_fraction``."""
    flag, equals, value = argument.partition("=")
    return (
        flag.replace("-", "_").replace("__", "--", 1) + equals + value
        if _is_flag(flag)
        else argument
    )


def _is_flag(argument: str) -> bool:
    return argument.startswith("--") and len(argument) > 2


def _refuse_unknown(
    command: str, arguments: Sequence[str], groups: Collection[Hparams | type[Hparams]]
) -> None:
    known = {flag for group in groups for flag in flag_names(group)}
    switches = {flag for group in groups for flag in _switches(group)}
    for argument in arguments:
        flag, equals, _ = spelled(argument).partition("=")
        if equals and flag in switches:
            raise UserError(f"{flag} takes no value: write {flag}, or leave it out.")
        if _is_flag(flag) and flag not in known | {"--help"}:
            near = get_close_matches(flag, sorted(known), n=1, cutoff=0.5)
            meant = ELSEWHERE.get(flag) if ELSEWHERE.get(flag) in known else "".join(near)
            hint = f" Did you mean {meant}?" if meant else ""
            raise UserError(f"There is no flag {flag}.{hint} See {command} --help.")


def _message(printed: str, command: str) -> str:
    """What tyro has to say, without its frame, its title and the help of the flag."""
    lines = [line.strip(" │") for line in printed.splitlines()]
    title = 1 if printed.startswith("╭") else 2  # in ASCII, it has a line below it
    kept = takewhile(lambda line: line.strip("─-"), lines[title:])
    said = (" ".join(kept) or printed.strip()).removeprefix("Error parsing ").rstrip(".")
    return f"{said}. See {command} --help."


def _constructors(find_run: FindRun | None) -> ConstructorRegistry:
    """How the types of our own are read from a flag and shown in the help."""

    def run_of(text: str) -> RunRef | None:
        if text in {"main", "None"}:
            return None
        if find_run is None:
            raise ValueError("no run can be named here")
        return find_run(text)

    def runs_of(text: str) -> tuple[RunRef, ...]:
        found = (run_of(part.strip()) for part in text.split(",") if part.strip())
        return tuple(run for run in found if run is not None)

    registry = ConstructorRegistry()
    kinds: dict[object, tuple[str, Callable[[str], object]]] = {
        Step: ("STEP", Step.parse),
        Step | None: ("STEP", _optional(Step.parse)),
        tuple[Step, ...]: ("STEP,STEP", parse_steps),
        tuple[Step, ...] | None: ("STEP,STEP", _optional(parse_steps)),
        tuple[int, ...]: ("INT,INT", _tuple_of(int)),
        tuple[float, ...]: ("FLOAT,FLOAT", _tuple_of(float)),
        tuple[str, ...]: ("STR,STR", _tuple_of(str)),
        tuple[RunRef, ...]: ("RUN,RUN", runs_of),
        RunRef | None: ("RUN", run_of),
        str | None: ("STR", _optional(str)),
        int: ("INT", _number(int)),
        int | None: ("INT", _optional(_number(int))),
        float: ("FLOAT", _number(float)),
        float | None: ("FLOAT", _optional(_number(float))),
    }

    @registry.primitive_rule
    def _(info: Any) -> PrimitiveConstructorSpec[Any] | None:  # noqa: ANN401 - tyro's own
        kind = _whole_tuple(info.type)
        if kind not in kinds:
            return None
        metavar, read = kinds[kind]
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=metavar,
            instance_from_str=lambda arguments: read(arguments[0]),
            is_instance=lambda _: True,
            str_from_instance=lambda value: [
                "main" if _is_main(info.type, value) else _text(value)
            ],
        )

    return registry


def _whole_tuple(kind: Any) -> Any:  # noqa: ANN401 - an annotation
    """``tuple[Step, ...]`` for the ``tuple[Step, Step]`` that tyro makes of a default of two."""
    items = set(typing.get_args(kind)) - {...}
    same = typing.get_origin(kind) is tuple and len(items) == 1
    return tuple.__class_getitem__((*items, ...)) if same else kind


def _is_main(kind: object, value: object) -> bool:
    return value is None and RunRef in typing.get_args(kind)


def _text(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, str):
        return value
    return ",".join(map(str, value)) if isinstance(value, tuple) else show(value)


def _optional(read: Callable[[str], object]) -> Callable[[str], object]:
    return lambda text: None if text == "None" else read(text)


def _number(kind: type) -> Callable[[str], object]:
    def read(text: str) -> object:
        try:
            return kind(text)
        except ValueError:
            whole = "a whole number" if kind is int else "a number"
            raise ValueError(f"{text!r} is not {whole}") from None

    return read


def _tuple_of(kind: type) -> Callable[[str], object]:
    def read(text: str) -> object:
        try:
            return tuple(kind(part.strip()) for part in text.split(",") if part.strip())
        except ValueError:
            whole = "whole numbers" if kind is int else "numbers"
            raise ValueError(f"{text!r} is not a list of {whole}") from None

    return read
