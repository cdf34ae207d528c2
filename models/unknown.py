"""What a name that no network has is answered with: the rules of names, and the nearest of them.

A name is words and numbers. Where the words are those of a family, its numbers are wrong, and the
network of the nearest size is suggested; else the name that looks most alike.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from models.family import Family

_ALIKE = 0.5
"""How alike two names must be (difflib's ratio) for one to be suggested for the other."""
_NUMBERS = re.compile(r"\d+(?:_\d+)*")


def unknown_network(model_name: str, what: str, families: Sequence[Family]) -> UserError:
    """The error for a name that no network of these families has."""
    meant = _meant(model_name, families)
    near = _nearest_size(model_name, meant) or _most_alike(model_name, meant or families)
    hint = f" Did you mean {near!r}?" if near else ""
    said = meant or [family for family in families if near and family.arguments(near) is not None]
    rules = "; ".join(f"{family.form} ({family.rule})" for family in said)
    # The rules of all families are pages; of those that are not meant, forms will do.
    others = [] if meant else [family.form for family in families if family not in said]
    known = "; ".join([rules, *others] if rules else others)
    return UserError(f"There is no {what} {model_name!r}.{hint} Allowed: {known}.")


def _meant(model_name: str, families: Sequence[Family]) -> list[Family]:
    """The families that have the name's words; else those with the words before its numbers."""
    words, first = _words(model_name), _words(_before_numbers(model_name))
    same = [family for family in families if any(_words(e) == words for e in family.examples)]
    return same or [
        family
        for family in families
        if any(_words(_before_numbers(example)) == first for example in family.examples)
    ]


def _nearest_size(model_name: str, families: Iterable[Family]) -> str | None:
    """Of the examples with the name's words, that of the nearest numbers."""
    wanted = _numbers(model_name)
    same = [e for e in _examples(families) if _words(e) == _words(model_name)]
    return min(same, key=lambda name: _gap(_numbers(name), wanted), default=None)


def _most_alike(model_name: str, families: Iterable[Family]) -> str | None:
    likeness = {name: _likeness(name, model_name) for name in _candidates(model_name, families)}
    near = max(likeness, key=lambda name: likeness[name], default=None)
    return near if near is not None and likeness[near] >= _ALIKE else None


def _candidates(model_name: str, families: Iterable[Family]) -> Iterator[str]:
    """The examples, and the same with the numbers that were asked for, where these exist."""
    asked = _NUMBERS.search(model_name)
    for family in families:
        for example in family.examples:
            yield example
            own = _NUMBERS.sub(asked[0], example, count=1) if asked else example
            if family.arguments(own) is not None:
                yield own


def _examples(families: Iterable[Family]) -> Iterator[str]:
    return (example for family in families for example in family.examples)


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, other, one).ratio()


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", name.lower())


def _before_numbers(name: str) -> str:
    return re.split(r"\d", name, maxsplit=1)[0]


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _gap(numbers: Iterable[int], wanted: Iterable[int]) -> int:
    return sum(abs(number - want) for number, want in zip(numbers, wanted, strict=False))
