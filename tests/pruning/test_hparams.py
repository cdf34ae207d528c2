"""Which hyperparameters of pruning go together."""

from typing import Any

import pytest

from foundations.errors import UserError
from pruning.choices import REDUCTIONS
from pruning.hparams import PruningHparams


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"coupling": "inner"}, "coupling"),
        ({"granularity": "gates", "coupling": "independent"}, "coupling"),
        ({"block_shape": (2, 2)}, "block_shape"),
        ({"granularity": "channels", "n_m": (1, 4)}, "n_m"),
    ],
)
def test_what_belongs_to_another_granularity_is_refused(
    settings: dict[str, Any], field: str
) -> None:
    """It would change the name of the run and nothing else."""
    with pytest.raises(UserError, match=rf"{field}=.*it belongs to --granularity="):
        PruningHparams(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"granularity": "channels", "coupling": "inner"},
        {"granularity": "nodes", "coupling": "inner"},
        {"granularity": "blocks", "block_shape": (2, 2)},
        {"granularity": "n_m", "n_m": (1, 4)},
    ],
)
def test_what_belongs_together_is_taken(settings: dict[str, Any]) -> None:
    """Each has a granularity that it says more of."""
    named = PruningHparams(**settings).canonical()
    versions = named.pop("versions", {})
    assert versions == ({"coupling:inner": 2} if "coupling" in settings else {})
    assert named == {
        name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()
    }


def test_a_list_of_fractions_is_one_run_however_it_is_spelled() -> None:
    """Its last is the fraction and its length the rounds, whether they are said again or not."""
    short = PruningHparams(schedule="explicit", prune_fractions=(0.5, 0.75))
    long = PruningHparams(
        schedule="explicit", prune_fractions=(0.5, 0.75), prune_fraction=0.75, prune_iterations=2
    )
    assert long.canonical() == short.canonical()
    assert long == short


@pytest.mark.parametrize("settings", [{"strategy": "wg"}, {"reduction": "sum"}])
def test_the_version_of_the_reduction_enters_the_name(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the one that is asked for, or that the strategy stands for."""
    monkeypatch.setitem(REDUCTIONS._versions, "sum", 2)
    assert PruningHparams(**settings).canonical()["versions"] == {"reduction:sum": 2}


def test_two_amounts_of_examples_are_refused() -> None:
    """The message names both."""
    said = "score_batches=2 is not allowed: score_examples is given too"
    with pytest.raises(UserError, match=said):
        PruningHparams(strategy="wg", score_batches=2, score_examples=10)
