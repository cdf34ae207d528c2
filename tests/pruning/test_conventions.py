"""What fractions are fractions of, and choices that would say it twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from foundations.errors import UserError
from pruning.hparams import PruningHparams
from tests.pruning.networks import CONV_NAMES, conv_net, partly, pruned

if TYPE_CHECKING:
    from pruning.mask import Mask

NETWORK, WEIGHTS = conv_net()
PARENT = partly(WEIGHTS, CONV_NAMES)
"""About two thirds of 63 are left."""


@pytest.mark.parametrize("parent", [None, PARENT])
@pytest.mark.parametrize(
    ("convention", "fraction"), [("remaining", 0.4), ("all", 0.6), ("kept", 0.25)]
)
@pytest.mark.parametrize("iterations", [1, 3])
def test_conventions(
    parent: Mask | None, convention: str, fraction: float, iterations: int
) -> None:
    """Of what remains, of all, or what is kept of all: on dense and on pruned parents."""
    before = 63 if parent is None else parent.kept
    left = {
        "remaining": before - round(0.4 * before),
        "all": 63 - round(0.6 * 63),
        "kept": round(0.25 * 63),
    }[convention]
    mask, report = pruned(
        NETWORK,
        WEIGHTS,
        mask=parent,
        prune_fraction=fraction,
        prune_fraction_of=convention,
        prune_iterations=iterations,
    )
    assert mask.kept == left
    assert (report["fraction"], report["fraction_of"]) == (fraction, convention)
    assert (report["asked"], report["total"]) == (before - left, 63)
    assert report["reached_fractions"] == pytest.approx(
        {"remaining": 1 - left / before, "all": 1 - left / 63, "kept": left / 63}
    )


@pytest.mark.parametrize(("convention", "fraction"), [("all", 0.1), ("kept", 0.9)])
def test_more_than_is_left(convention: str, fraction: float) -> None:
    """A parent that has lost more than is asked for in all is refused."""
    with pytest.raises(UserError, match=rf"only {PARENT.kept} are left"):
        pruned(
            NETWORK,
            WEIGHTS,
            mask=PARENT,
            prune_fraction=fraction,
            prune_fraction_of=convention,
        )


@pytest.mark.parametrize(
    ("convention", "fractions", "left"),
    [
        ("all", (0.5, 0.8), [31, 13]),
        ("kept", (0.5, 0.2), [32, 13]),
        ("remaining", (0.8,), [13]),
    ],
)
def test_explicit_schedule(convention: str, fractions: tuple[float, ...], left: list[int]) -> None:
    """The last of a list stands for the fraction, and the report says that one."""
    report = pruned(
        NETWORK,
        WEIGHTS,
        schedule="explicit",
        prune_fractions=fractions,
        prune_fraction_of=convention,
    ).report
    assert report["fraction"] == fractions[-1]
    assert report["iterations"] == len(fractions)
    assert report["kept"] == left


LIST = {"schedule": "explicit", "prune_fractions": (0.5, 0.9)}


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"schedule": "explicit"}, "prune_fractions"),
        ({"prune_fractions": (0.5,)}, "prune_fractions"),
        ({**LIST, "prune_fractions": (0.9, 0.5)}, "must rise"),
        ({**LIST, "prune_fractions": (0.5, 0.5)}, "must rise"),
        ({**LIST, "prune_fractions": (0.5, 1.5)}, "must rise"),
        ({**LIST, "prune_fraction_of": "kept"}, "or fall"),
        ({**LIST, "prune_fraction": 0.7}, r"prune_fraction=.*0\.9"),
        ({**LIST, "prune_iterations": 3}, "2 rounds"),
        ({"layer_fractions": "a=.5"}, "layer_fractions"),
        ({"allocation": "explicit"}, "layer_fractions"),
        ({"allocation": "explicit", "layer_fractions": "a"}, "layer_fractions"),
        ({"allocation": "explicit", "layer_fractions": "a=.5", "prune_fraction": 0.5}, "says how"),
        ({"allocation": "explicit", "layer_fractions": "a=.5", **LIST}, "says how"),
        ({"allocation": "matched", "prune_fraction": 0.5}, "says how"),
        ({"allocation": "groups"}, "layer_groups"),
        ({"layer_groups": "a;b"}, "layer_groups"),
        ({"allocation": "groups", "layer_groups": "a;;b"}, "layer_groups"),
        ({"minimum_kept": -1}, "minimum_kept"),
        ({"minimum_fraction": 1.1}, "minimum_fraction"),
        ({"allocation": "unifrom"}, "Did you mean 'uniform'"),
        ({"schedule": "cubik"}, "Did you mean 'cubic'"),
        ({"selection": "exat"}, "Did you mean 'exact'"),
    ],
)
def test_contradictions(settings: dict[str, Any], match: str) -> None:
    """What is said twice, or not at all, is refused before anything runs."""
    with pytest.raises(UserError, match=match):
        PruningHparams(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {**LIST, "prune_fraction": 0.9},
        {**LIST, "prune_iterations": 2},
        {"schedule": "explicit", "prune_fractions": (0.9, 0.5), "prune_fraction_of": "kept"},
        {"allocation": "explicit", "layer_fractions": "a=.5", "prune_iterations": 5},
    ],
)
def test_no_contradictions(settings: dict[str, Any]) -> None:
    """What is said twice alike is allowed."""
    PruningHparams(**settings)
