"""The lottery: what each level cuts, where it goes back to, and how it trains from there."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from branches.lottery_rewind import LotteryRewind
from foundations.errors import UserError
from foundations.run_directory import RunState
from foundations.steps import Step
from foundations.store import Store
from tests.branches.branched import differing, levels, masked, on, opened
from tests.branches.deeds import carry_out
from tests.branches.runs import DECAYED, STEPS, Example, contents, dense, options, pruned, run
from tests.foundations.kills import exit_code

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = [592, 474, 379, 303]
"""512 + 80 weights, of which a fifth is cut, and again: 118.4, 94.8 and 75.8, rounded."""

COUNTS_OF_ONE_LAYER = [512, 410, 328, 262]
"""The same of the first layer alone: 102.4, 82 and 65.6 are cut."""


@pytest.mark.parametrize("step", ["0ep", "3it", "5it"])
def test_each_level_cuts_a_fifth_of_what_is_left(step: str, tmp_path: Path) -> None:
    """Its mask lies within the one before, the count is exact, and the smallest weights go."""
    runs = [opened(tmp_path / "a", level) for level in levels(3, rewinding_steps=step)]
    masks = [each.mask() for each in runs]
    assert [mask.kept for mask in masks] == COUNTS
    for before, outer, inner in zip(runs, masks, masks[1:], strict=False):
        assert all((inner[name] <= outer[name]).all() for name in outer)
        end = before.weights()
        kept = [float(end[name][keep].abs().min()) for name, keep in inner.items() if keep.any()]
        cut = [
            float(end[name][outer[name] & ~keep].abs().max())
            for name, keep in inner.items()
            if (outer[name] & ~keep).any()
        ]
        assert min(kept) >= max(cut)


@pytest.mark.parametrize("step", ["0ep", "3it", "1ep2it"])
def test_survivors_go_back_to_level_zero(step: str, tmp_path: Path) -> None:
    """At every level: to its weights at the rewinding step, bit for bit, biases too."""
    every = levels(2, dense(**DECAYED), step)
    run(tmp_path / "a", every[0], options(weight_save_steps=step))
    source = opened(tmp_path / "a", every[0]).weights(step)
    for level in every[1:]:
        found = opened(tmp_path / "a", level)
        begin = found.weights(step)
        assert differing(begin, masked(source, found.mask())) == []
        assert all((begin[name][keep] != 0).all() for name, keep in found.mask().items())


def test_layers_that_are_ignored_stay_whole(tmp_path: Path) -> None:
    """The fraction is of what is left of the others."""
    masks = [
        opened(tmp_path / "a", level).mask() for level in levels(3, layers_to_ignore=("fc.weight",))
    ]
    assert [mask["fc.weight"].sum() for mask in masks] == [80] * 4
    assert [mask.kept - 80 for mask in masks] == COUNTS_OF_ONE_LAYER


@pytest.mark.parametrize("step", ["0ep", "3it", "1ep2it"])
def test_a_level_trains_on_as_level_zero_did(step: str, tmp_path: Path) -> None:
    """Where nothing is cut, order, learning rate and all: it comes to the same end, bit for bit.

    But for the momentum, which is lost on the way back.
    """
    for name, flags in {"plain": {}, "momentum": DECAYED}.items():
        recipe = dense(**flags, milestone_steps="2ep", gamma=0.1, augment_crop=1)
        zero, one = levels(1, recipe, step, prune_fraction=0.0)
        ends = [opened(tmp_path / name, each).weights() for each in (zero, one)]
        same = name == "plain" or Step.parse(step) == Step()
        assert (differing(*ends) == []) == same


@pytest.mark.parametrize("step", ["0ep", "4it"])
def test_the_learning_rate_alone_goes_back(step: str, tmp_path: Path) -> None:
    """Survivors have the weights of the end before, and are trained as long as from that step."""
    zero, one, two = levels(2, None, step, rewind="learning_rate")
    before = opened(tmp_path / "a", zero)
    for level in (one, two):
        found = opened(tmp_path / "a", level)
        assert differing(found.weights(step), masked(before.weights(), found.mask())) == []
        iterations = [row.iteration for row in found.directory.digests()]
        assert (iterations[0], iterations[-1]) == (Step.parse(step).iterations(3), STEPS)
        assert differing(found.weights(), found.weights(step)) != []
        before = found


@pytest.mark.parametrize(
    ("strategy", "rounds"), [("snip2", 1), ("grasp2", 1), ("synflow", 5), ("random", 2)]
)
def test_other_scores_in_the_loop(strategy: str, rounds: int, tmp_path: Path) -> None:
    """Each level's mask lies within the one before, with the same counts."""
    every = levels(2, None, "3it", strategy=strategy, prune_iterations=rounds)
    masks = [opened(tmp_path / "a", level).mask() for level in every]
    assert [mask.kept for mask in masks] == COUNTS[:3]
    assert all((masks[2][name] <= masks[1][name]).all() for name in masks[1])


def test_a_level_goes_with_its_replicate(tmp_path: Path) -> None:
    """Replicate 2 grows on replicate 2 of level 0, and finds another ticket."""
    every = levels(1, None, "3it")
    run(tmp_path / "a", every[0], options(weight_save_steps="3it"), 2)
    one, two = (opened(tmp_path / "a", every[1], replicate) for replicate in (1, 2))
    assert one.mask().kept == two.mask().kept
    assert one.mask() != two.mask()
    source = opened(tmp_path / "a", every[0], 2)
    assert differing(two.weights("3it"), masked(source.weights("3it"), two.mask())) == []


@pytest.mark.parametrize("step", ["0ep", "3it"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_lottery_that_is_killed_at_any_level_ends_as_an_undisturbed_one(
    level: int, step: str, tmp_path: Path
) -> None:
    """Byte for byte: the seventh update of this level was the last one."""
    every = levels(2, dense(**DECAYED), step)
    example = Example(every[-1], options(checkpoint_every="2it"))
    a_level = STEPS - Step.parse(step).iterations(3)
    moment = 7 if level == 0 else STEPS + (level - 1) * a_level + 7
    assert exit_code(carry_out, tmp_path / "killed", example, moment) == -signal.SIGKILL
    store = Store(tmp_path / "killed")
    states = [RunState.DONE] * level + [RunState.INTERRUPTED] + [RunState.NEW] * (2 - level)
    assert [store.run(each, 1).state for each in every] == states
    assert exit_code(carry_out, tmp_path / "killed", example) == 0
    run(tmp_path / "undisturbed", example.description, example.options)
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


def test_a_step_before_the_parent_began_is_refused(tmp_path: Path) -> None:
    """A parent that was itself rewound to a later step has no state there."""
    late = levels(1, None, "5it")[1]
    early = on(late, LotteryRewind(rewinding_steps=Step(0, 2)))
    with pytest.raises(UserError, match=r"has no state at 2it: it goes from 1ep2it to 4ep"):
        run(tmp_path / "a", early)


def test_a_oneshot_on_a_level(tmp_path: Path) -> None:
    """Its mask lies within the level's, and its weights are level 0's at that step."""
    level = levels(1, None, "3it")[1]
    branch = pruned(level, prune_step="4ep", state_step="3it", start_step="3it", prune_fraction=0.5)
    run(tmp_path / "a", dense(), options(weight_save_steps="3it"))
    found, parent = opened(tmp_path / "a", branch), opened(tmp_path / "a", level)
    mask = found.mask()
    assert mask.kept == COUNTS[1] / 2
    assert all((mask[name] <= parent.mask()[name]).all() for name in mask)
    source = opened(tmp_path / "a", dense()).weights("3it")
    assert differing(found.weights("3it"), masked(source, mask)) == []
    with pytest.raises(UserError, match=r"has no state at 0ep: it goes from 1ep to 4ep"):
        run(tmp_path / "a", pruned(level))


def test_distances_are_from_where_the_scored_run_began(tmp_path: Path) -> None:
    """Whichever run is scored: its parent, another run, a level that was rewound late."""
    level = levels(1, None, "3it")[1]
    further = LotteryRewind(rewinding_steps=Step(0, 3), score_distance=True)
    asked = further.asks(level)
    assert [(ref.description, ref.step) for ref in asked[2:]] == [(level, Step(0, 3))]


def test_what_is_unknown_is_refused() -> None:
    """With the nearest there is."""
    with pytest.raises(UserError, match="Did you mean 'learning_rate'"):
        LotteryRewind(rewind="learning_rates")
