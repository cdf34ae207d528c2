"""What the names of strategies stand for."""

import subprocess
import sys
from pathlib import Path

import pytest

import pruning
from foundations.errors import UserError
from pruning.criteria import CRITERIA, Examples
from pruning.strategies import STRATEGIES, parse_strategy

ROOT = Path(pruning.__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "criterion", "settings"),
    [
        ("random", "random", {}),
        ("magnitude", "magnitude", {}),
        ("snip10", "snip", {"examples": Examples(per_class=10)}),
        ("grasp1", "grasp", {"examples": Examples(per_class=1)}),
        ("graspabs250", "grasp", {"examples": Examples(per_class=250), "absolute": True}),
        ("synflow", "synflow", {}),
        (
            "snip_example3",
            "snip",
            {"examples": Examples(per_class=3), "per_example": True, "training": False},
        ),
    ],
)
def test_parse(name: str, criterion: str, settings: dict[str, object]) -> None:
    """A name is a criterion with its settings, and the criterion can be made with them."""
    strategy = parse_strategy(name)
    assert (strategy.name, strategy.criterion, dict(strategy.settings)) == (
        name,
        criterion,
        settings,
    )
    assert set(strategy.versions.values()) == {1}
    built = CRITERIA[strategy.criterion](**strategy.settings)
    assert {key: getattr(built, key) for key in settings} == settings


@pytest.mark.parametrize("name", ["snip", "grasp", "graspabs", "snip0", "snip010", "snip_example"])
def test_number_missing(name: str) -> None:
    """A strategy that needs examples says so, and shows a name that would do."""
    with pytest.raises(UserError, match=rf"{name!r} needs the number of examples.*10'"):
        parse_strategy(name)


@pytest.mark.parametrize("name", ["magnitude10", "random1", "synflow100", "w2g10", "wg2560"])
def test_number_too_many(name: str) -> None:
    """A strategy without data takes no number."""
    with pytest.raises(UserError, match="takes no number"):
        parse_strategy(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("magnitud", "magnitude"), ("snp25", "snip25"), ("Snip10", "snip10"), ("synflw", "synflow")],
)
def test_nearest(name: str, meant: str) -> None:
    """A mistyped name gets the nearest right one suggested."""
    with pytest.raises(UserError, match=f"Did you mean '{meant}'"):
        parse_strategy(name)


@pytest.mark.parametrize("name", ["", "10", "snip-10", "snip1_0", "snip10 ", "snip10x", "snip²"])
def test_malformed(name: str) -> None:
    """What is no name at all is refused."""
    with pytest.raises(UserError, match="Known: "):
        parse_strategy(name)


def test_every_strategy_has_its_criterion() -> None:
    """Every strategy names a criterion that can be found."""
    for name in STRATEGIES:
        assert callable(CRITERIA[STRATEGIES[name].criterion])


def test_without_torch() -> None:
    """Names are checked without importing torch, which help has no time for."""
    code = (
        "import sys; from pruning.strategies import parse_strategy; import pruning.schedule, "
        "pruning.allocations, pruning.hparams, pruning.report; parse_strategy('snip10'); "
        "print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert shown.stdout == "[]\n"
