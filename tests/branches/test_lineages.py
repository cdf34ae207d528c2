"""Chains of descriptions, and what is dense of a run at the end of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branches.base import begins, is_pruned, origin
from branches.finetune import Finetune
from branches.invert import Invert
from branches.layer_matched import LayerMatched
from branches.lineages import cumulative_fractions, iterative, lottery
from branches.lottery_rewind import LotteryRewind
from branches.oneshot import Oneshot
from branches.reinit import Reinit
from branches.shuffle import Shuffle
from foundations.description import BranchDesc, Description, RunRef
from foundations.errors import UserError
from foundations.steps import Step
from tests.branches.branched import levels, on
from tests.branches.runs import dense, pruned
from training.imported import ImportDesc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DENSE = dense()
IMPORTED = ImportDesc(
    model=DENSE.model,
    dataset=DENSE.dataset,
    training=DENSE.training,
    weights=ImportDesc.from_flat(
        {name: value for part in vars(DENSE).values() for name, value in vars(part).items()}
        | {"content": "0" * 64}
    ).weights,
)
LATE = levels(2, rewinding_steps="3it")[2]
ONWARD = levels(2, rewinding_steps="3it", rewind="learning_rate")[2]
FRESH = on(pruned(), Reinit(seed=3))
END = Step(0, 12)


def _redrawn(parent: Description = DENSE, **hparams: object) -> BranchDesc:
    made = Reinit.from_dict({"reinit_model_init": "kaiming_normal"} | hparams)
    return on(parent, made)


ORIGINS: dict[str, tuple[Description, Step, RunRef]] = {
    "dense": (DENSE, Step(), RunRef(DENSE, step=Step())),
    "imported": (IMPORTED, END, RunRef(IMPORTED, step=END)),
    "oneshot": (pruned(), Step(), RunRef(DENSE, step=Step())),
    "rewound": (
        pruned(state_step="3it", start_step="1it"),
        Step(0, 1),
        RunRef(DENSE, step=Step(0, 3)),
    ),
    "another run's weights": (
        on(DENSE, Oneshot(state_experiment=RunRef(LATE, 2), state_step=Step(0, 3))),
        Step(),
        RunRef(DENSE, 2, Step(0, 3)),
    ),
    "the same, shuffled": (
        on(on(DENSE, Oneshot(state_experiment=RunRef(LATE, 2), state_step=Step(0, 3))), Shuffle()),
        Step(),
        RunRef(DENSE, 2, Step(0, 3)),
    ),
    "level": (levels(3)[3], Step(), RunRef(DENSE, step=Step())),
    "late level": (LATE, Step(0, 3), RunRef(DENSE, step=Step(0, 3))),
    "learning rate": (ONWARD, Step(0, 3), RunRef(DENSE)),
    "learning rate, then weights": (
        on(ONWARD, LotteryRewind(rewinding_steps=Step(0, 3))),
        Step(0, 3),
        RunRef(DENSE),
    ),
    "shuffled level": (on(LATE, Shuffle()), Step(0, 3), RunRef(DENSE, step=Step(0, 3))),
    "matched, dense": (
        on(DENSE, LayerMatched(counts_of=RunRef(LATE))),
        Step(),
        RunRef(DENSE, step=Step()),
    ),
    "matched, level": (on(LATE, LayerMatched()), Step(0, 3), RunRef(DENSE, step=Step(0, 3))),
    "inverted": (on(LATE, Invert()), Step(0, 3), RunRef(DENSE, step=Step(0, 3))),
    "inverted, shuffled": (
        on(on(pruned(state_step="3it"), Invert()), Shuffle()),
        Step(),
        RunRef(DENSE, step=Step(0, 3)),
    ),
    "oneshot on a level": (
        pruned(LATE, prune_step="12it", state_step="3it"),
        Step(),
        RunRef(DENSE, step=Step(0, 3)),
    ),
    "reinit": (FRESH, Step(), RunRef(_redrawn(seed=3), step=Step())),
    "late reinit": (on(LATE, Reinit()), Step(0, 3), RunRef(_redrawn(), step=Step())),
    "reinit of a shuffle": (
        on(on(LATE, Shuffle()), Reinit(start_step=Step(0, 1))),
        Step(0, 1),
        RunRef(_redrawn(), step=Step()),
    ),
    "shuffle of another way": (
        on(on(pruned(), Reinit(reinit_model_init="binary")), Shuffle()),
        Step(),
        RunRef(_redrawn(reinit_model_init="binary"), step=Step()),
    ),
    "reinit of a reinit": (
        on(on(pruned(), Reinit(reinit_model_init="binary")), Reinit(seed=3)),
        Step(),
        RunRef(_redrawn(reinit_model_init="binary", seed=3), step=Step()),
    ),
    "level of a reinit": (
        levels(2, FRESH)[2],
        Step(),
        RunRef(_redrawn(seed=3), step=Step()),
    ),
    "late level of a reinit": (
        levels(2, FRESH, "3it")[2],
        Step(0, 3),
        RunRef(_redrawn(seed=3), step=Step(0, 3)),
    ),
    "lottery of a dense draw": (
        levels(1, on(DENSE, Reinit(seed=3)), "3it")[1],
        Step(0, 3),
        RunRef(on(DENSE, Reinit(seed=3)), step=Step(0, 3)),
    ),
    "oneshot, reinitialized": (
        on(pruned(reinitialize=True, seed=3), Shuffle()),
        Step(),
        RunRef(_redrawn(seed=3), step=Step()),
    ),
    "finetuned": (on(LATE, Finetune()), Step(), RunRef(DENSE)),
    "imported, pruned": (
        on(pruned(IMPORTED, prune_step="12it", state_step="12it"), Shuffle()),
        Step(),
        RunRef(IMPORTED, step=END),
    ),
    "imported, learning rate": (
        on(on(IMPORTED, LotteryRewind(rewind="learning_rate")), LayerMatched()),
        Step(),
        RunRef(IMPORTED),
    ),
    "imported, reinitialized": (
        on(pruned(IMPORTED, prune_step="12it", state_step="12it"), Reinit()),
        Step(),
        RunRef(_redrawn(IMPORTED), step=Step()),
    ),
    "imported, dense, reinitialized": (
        on(IMPORTED, Reinit()),
        Step(),
        RunRef(on(IMPORTED, Reinit()), step=Step()),
    ),
}


@pytest.mark.parametrize("name", ORIGINS)
def test_where_a_run_begins_and_what_is_dense_of_it(name: str) -> None:
    """The step its schedule begins at; and a state that no mask has touched, for another mask."""
    description, step, source = ORIGINS[name]
    assert begins(description) == step
    assert origin(description) == source
    assert not is_pruned(source.description)


def test_a_shuffle_has_the_origin_of_its_parent() -> None:
    """And so has a shuffle of it: shuffling never adds up."""
    for description, step, source in ORIGINS.values():
        twice = on(on(description, Shuffle()), LayerMatched())
        if is_pruned(description):
            assert (begins(twice), origin(twice)) == (step, source)


def _chain(description: Description) -> list[Description]:
    found = [description]
    while isinstance(found[0], BranchDesc):
        found.insert(0, found[0].parent)
    return found


def test_each_run_is_the_parent_of_the_next() -> None:
    """The dense run first; no levels are the dense run alone."""
    level = LotteryRewind(strategy="synflow")
    made = lottery(DENSE, level, 4)
    assert _chain(made[-1]) == list(made)
    assert [each.branch for each in made if isinstance(each, BranchDesc)] == [level] * 4
    assert lottery(DENSE, level, 0) == (DENSE,)
    rounds = iterative(DENSE, level, 3)
    assert _chain(rounds[-1]) == list(rounds)
    assert len(rounds) == 4


@pytest.mark.parametrize("hparams", [{"prune_fraction_of": "all"}, {"prune_fraction_of": "kept"}])
def test_a_lottery_cuts_of_what_remains(hparams: dict[str, Any]) -> None:
    """A fraction of all would be reached at level 1."""
    with pytest.raises(UserError, match="'iterative' reaches it"):
        levels(2, **hparams)


GRANULARITY = [0.3402, 0.5647, 0.7128, 0.8105, 0.875]
"""1 - .125^(k/5), as the granularity paper's code prunes in five rounds."""


@pytest.mark.parametrize(
    ("hparams", "rounds", "expected"),
    [
        ({"prune_fraction": 0.875}, 5, GRANULARITY),
        ({"prune_fraction": 0.125, "prune_fraction_of": "kept"}, 5, GRANULARITY),
        ({"prune_fraction": 0.875, "prune_fraction_of": "all"}, 5, GRANULARITY),
        ({"prune_fraction": 0.875, "prune_iterations": 9}, 1, [0.875]),
        ({"prune_fraction": 0.6, "schedule": "linear"}, 4, [0.15, 0.3, 0.45, 0.6]),
        ({"schedule": "explicit", "prune_fractions": (0.5, 0.6, 0.9)}, 5, [0.5, 0.6, 0.9]),
    ],
)
def test_what_is_cut_after_each_round(
    hparams: dict[str, object], rounds: int, expected: Sequence[float]
) -> None:
    """A fraction of all; exact in the end."""
    found = cumulative_fractions(LotteryRewind.from_dict(hparams), rounds)
    assert found == pytest.approx(expected, abs=5e-5)
    assert found[-1] == expected[-1]
    made = iterative(DENSE, LotteryRewind.from_dict(hparams), rounds)
    branches = [each.branch for each in made if isinstance(each, BranchDesc)]
    for branch, fraction in zip(branches, found, strict=True):
        assert isinstance(branch, LotteryRewind)
        assert branch.prune_fraction == fraction
        assert (branch.prune_fraction_of, branch.prune_iterations) == ("all", 1)


@given(st.floats(0.001, 0.999).map(lambda value: round(value, 6)), st.integers(1, 30))
def test_rounds_cut_the_same_share_of_what_remains(fraction: float, rounds: int) -> None:
    """The powers of one number, to the 12 digits that a fraction has."""
    cut = cumulative_fractions(LotteryRewind(prune_fraction=fraction), rounds)
    for k, found in enumerate(cut, 1):
        assert 1 - found == pytest.approx((1 - fraction) ** (k / rounds), abs=1e-12)
    assert cut[-1] == fraction


@pytest.mark.parametrize("rounds", [lottery, iterative])
def test_a_second_round_of_n_m_is_refused(
    rounds: Callable[[Description, LotteryRewind, int], object],
) -> None:
    """After one, of every group as many are kept as may be: another would cut nothing."""
    with pytest.raises(UserError, match="nothing to cut in another"):
        rounds(DENSE, LotteryRewind(granularity="n_m"), 2)
