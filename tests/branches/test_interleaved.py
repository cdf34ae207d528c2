"""The ``interleaved`` branch: rounds of pruning within training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.func import functional_call, grad

from branches.interleaved import Interleaved
from branches.run import Job, state_of
from branches.shuffle import Shuffle
from datasets.loader import TrainLoader
from foundations.description import BranchDesc, RunRef
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from tests.branches.branched import differing, masked, on, opened
from tests.branches.runs import DECAYED, PER_EPOCH, STEPS, context, dense, options, run
from training.setting import Setting

if TYPE_CHECKING:
    from pathlib import Path

    from branches.opened import Run
    from foundations.description import Description

NODES: dict[str, Any] = {"granularity": "nodes", "strategy": "magnitude"}
HIDDEN = 8
"""Units that may be cut: those of the one hidden layer of ``digits_lenet_8``."""


def _interleaved(parent: Description | None = None, **flags: Any) -> BranchDesc:
    """A branch of ``dense()``, with steps as text."""
    steps = {name for name in flags if name.endswith(("_step", "_after", "_every", "_steps"))}
    parsed: dict[str, Any] = {n: Step.parse(v) if n in steps else v for n, v in flags.items()}
    return on(parent or dense(**DECAYED), Interleaved(**parsed))


def _rounds(found: Run) -> list[tuple[int, float]]:
    """When how many units were left."""
    return [(row.iteration, row.value) for row in found.metrics if row.phase == "mask"]


def test_each_round_trains_and_then_cuts(tmp_path: Path) -> None:
    """Two epochs of warm-up, a round each four iterations, of half of what remains."""
    asked = _interleaved(
        prune_after="1ep", prune_every="4it", prune_iterations=2, prune_fraction=0.75, **NODES
    )
    found = opened(tmp_path / "a", asked)
    assert _rounds(found) == [(7, 4), (11, 2)]
    for step, kept in (("0it", 8), ("6it", 8), ("7it", 4), ("11it", 2), (f"{STEPS}it", 2)):
        mask = state_of(RunRef(asked, step=Step.parse(step)), 1, context(tmp_path / "a")).mask
        assert mask is not None
        rows = mask["fc_layers.0.weight"].any(1)
        assert int(rows.sum()) == kept, step
    counts = {layer["layer"]: layer for layer in found.directory.fact(Fact.SPARSITY)["layers"]}
    assert counts["fc_layers.0.weight"]["kept"] == 2 * 64


def test_up_to_the_first_cut_it_is_the_parent(tmp_path: Path) -> None:
    """The same updates to the same bits; behind it the cut units are zero and stay so."""
    asked = _interleaved(prune_every="5it", prune_fraction=0.5, **NODES)
    at = {
        kind: {
            step: state_of(RunRef(kind, step=Step(0, step)), 1, context(tmp_path / "a"))
            for step in (4, 5, 9)
        }
        for kind in (asked, dense(**DECAYED))
    }
    mine, parents = at[asked], at[dense(**DECAYED)]
    assert differing(mine[4].weights, parents[4].weights) == []
    mask = mine[5].mask
    assert mask is not None
    assert differing(mine[5].weights, masked(parents[5].weights, mask)) == []
    assert mine[9].mask == mask
    assert differing(mine[9].weights, masked(mine[9].weights, mask)) == []
    weakest = parents[5].weights["fc_layers.0.weight"].abs().mean(1).argsort()[:4]
    assert not mask["fc_layers.0.weight"][weakest].any()


@pytest.mark.parametrize("preserved", [False, True])
def test_the_momentum_begins_anew_unless_it_is_preserved(
    tmp_path: Path, *, preserved: bool
) -> None:
    """The update behind a cut, against one that is made by hand."""
    asked = _interleaved(
        prune_every="2it", prune_fraction=0.5, preserve_momentum=preserved, **NODES
    )
    where = context(tmp_path / "a")
    before, cut, after = (
        state_of(RunRef(asked, step=Step(0, at)), 1, where).weights for at in (1, 2, 3)
    )
    setting = Setting.on(where.platform, dense(**DECAYED), 1)
    hparams, network = setting.recipe.training, setting.network()
    loader = TrainLoader(setting.data, setting.recipe.dataset, order_seed=1, device=setting.device)
    images, labels = list(loader.epoch(0, 0))[2]

    def loss(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        logits = functional_call(network, weights, (images,))
        return torch.nn.functional.cross_entropy(logits, labels)

    slopes = grad(loss)(dict(cut))
    mask = state_of(RunRef(asked, step=Step(0, 2)), 1, where).mask
    assert mask is not None
    dense_cut = state_of(RunRef(dense(**DECAYED), step=Step(0, 2)), 1, where).weights
    for name, weight in cut.items():
        velocity = (before[name] - dense_cut[name]) / hparams.lr if preserved else 0
        expected = weight - hparams.lr * (
            hparams.momentum * velocity + slopes[name] + hparams.weight_decay * weight
        )
        if name in mask:
            expected = torch.where(mask[name], expected, torch.zeros_like(expected))
        torch.testing.assert_close(after[name], expected, rtol=1e-4, atol=1e-5)


def test_so_many_units_are_cut_until_nothing_is_left_to_cut(tmp_path: Path) -> None:
    """Three a round of eight, two of which stay: it stops after two rounds of five, and says so."""
    asked = _interleaved(
        prune_every="2it", cut_units=3, prune_iterations=5, minimum_kept=2, **NODES
    )
    found = opened(tmp_path / "a", asked)
    assert _rounds(found) == [(2, 5), (4, 2)]
    facts = found.directory.fact(Fact.START)
    assert facts["end"] == 4
    assert facts["facts"]["stops"].startswith("Nothing is left to cut after 2 of 5 rounds")
    with pytest.raises(UserError, match="Nothing can be cut: there are 8 units"):
        run(tmp_path / "a", _interleaved(cut_units=1, minimum_kept=8, **NODES))


def test_training_ends_with_the_last_counted_cut(tmp_path: Path) -> None:
    """Or where it is stated to."""
    flags: dict[str, Any] = {"prune_every": "2it", "cut_units": 1, "prune_iterations": 3, **NODES}
    assert opened(tmp_path / "a", _interleaved(**flags)).directory.fact(Fact.START)["end"] == 6
    longer = _interleaved(**flags, interleaved_training_steps="9it")
    assert _rounds(opened(tmp_path / "a", longer)) == [(2, 7), (4, 6), (6, 5)]


def test_rounds_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Before anything is trained, and with what could be done."""
    asked = _interleaved(prune_every="5it", prune_iterations=3, prune_fraction=0.5, **NODES)
    with pytest.raises(UserError, match="The last of 3 rounds cuts at 5ep, but training ends at"):
        run(tmp_path / "a", asked)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"prune_every": "0it"}, "prune_every"),
        ({"cut_units": 0}, "cut_units"),
        ({"cut_units": 1, "prune_fraction": 0.3}, "prune_fraction"),
        ({"cut_units": 1, "schedule": "linear"}, "schedule"),
        ({"prune_lr": -0.1}, "prune_lr"),
        ({"track": "everything"}, "way to track"),
        ({"track_batches": 0, "track": "average"}, "track_batches"),
        ({"track_batches": 5}, "it belongs to --track=average"),
        ({"track_alpha": 1.5, "track": "average"}, "track_alpha"),
        ({"prune_fractions": (0.5, 0.3), "schedule": "explicit"}, "must rise"),
    ],
)
def test_bad_flags_are_refused(flags: dict[str, Any], message: str) -> None:
    """Each names what is wrong."""
    with pytest.raises(UserError, match=message):
        _interleaved(**flags)


def test_a_strategy_with_passes_of_its_own_cannot_be_tracked(tmp_path: Path) -> None:
    """It is said before anything is trained, and what can."""
    asked = _interleaved(track="average", granularity="nodes", strategy="whg")
    with pytest.raises(UserError, match="leave out --track, or choose wg"):
        run(tmp_path / "a", asked)


def test_the_learning_rate_up_to_the_last_cut_is_its_own(tmp_path: Path) -> None:
    """At a rate of 0 nothing moves before it, and everything behind it."""
    asked = _interleaved(prune_every="4it", prune_lr=0.0, prune_fraction=0.5, **NODES)
    where = context(tmp_path / "a")
    first, before, after = (
        state_of(RunRef(asked, step=Step(0, at)), 1, where).weights for at in (0, 3, 6)
    )
    assert differing(first, before) == []
    assert len(differing(first, after)) == len(first)


def test_it_grows_on_trained_and_on_pruned_states(tmp_path: Path) -> None:
    """A fraction of what the parent has left, from the state that is asked for."""
    once = _interleaved(prune_every="3it", prune_fraction=0.5, **NODES)
    again = _interleaved(once, state_step="12it", prune_every="3it", prune_fraction=0.5, **NODES)
    parent, found = opened(tmp_path / "a", once), opened(tmp_path / "a", again)
    assert differing(found.weights("0ep"), parent.weights()) == []
    assert _rounds(found) == [(3, 2)]


def test_what_grows_on_it_has_the_mask_that_it_ends_with(tmp_path: Path) -> None:
    """A shuffle keeps its counts, not those of its beginning."""
    asked = _interleaved(prune_every="3it", prune_fraction=0.5, **NODES)
    shuffled = opened(tmp_path / "a", on(asked, Shuffle()))
    mask = opened(tmp_path / "a", asked).mask()
    assert shuffled.mask("0ep").layers == mask.layers
    assert mask.kept < mask.total


def test_a_tracked_score_is_the_moving_average_of_the_last_batches(tmp_path: Path) -> None:
    """|w g| of the last three of five updates, of the weights behind each, summed by unit."""
    asked = _interleaved(
        prune_every="5it",
        prune_fraction=0.5,
        granularity="nodes",
        strategy="wg",
        track="average",
        track_batches=3,
        track_alpha=0.6,
    )
    where = context(tmp_path / "a")
    setting = Setting.on(where.platform, dense(**DECAYED), 1)
    network = setting.network().double()
    loader = TrainLoader(setting.data, setting.recipe.dataset, order_seed=1, device=setting.device)
    batches = [*loader.epoch(0, 0), *loader.epoch(1, 0)]
    states = [
        state_of(RunRef(dense(**DECAYED), step=Step(0, at)), 1, where).weights for at in range(6)
    ]
    average = torch.zeros(HIDDEN, dtype=torch.float64)
    for at in (2, 3, 4):
        weights = {n: v.double() for n, v in states[at].items()}
        images, labels = batches[at]

        def loss(
            weights: dict[str, torch.Tensor],
            x: torch.Tensor = images,
            y: torch.Tensor = labels,
        ) -> torch.Tensor:
            logits = functional_call(network, weights, (x.double(),))
            return torch.nn.functional.cross_entropy(logits, y)

        slopes = grad(loss)(weights)["fc_layers.0.weight"]
        new = (states[at + 1]["fc_layers.0.weight"].double() * slopes).abs().sum(1)
        average = 0.6 * new + 0.4 * average
    mask = state_of(RunRef(asked, step=Step(0, 5)), 1, where).mask
    assert mask is not None
    kept = mask["fc_layers.0.weight"].any(1)
    assert sorted(kept.nonzero().flatten().tolist()) == sorted(average.argsort()[4:].tolist())


def test_the_fisher_information_is_that_of_all_updates_of_the_round(tmp_path: Path) -> None:
    """Half the mean of (a dL/da)^2, L the loss of an example, over the examples of four updates."""
    asked = _interleaved(
        prune_every="4it",
        cut_units=3,
        prune_iterations=1,
        granularity="nodes",
        strategy="fisher_activations",
        track="all",
    )
    where = context(tmp_path / "a")
    setting = Setting.on(where.platform, dense(**DECAYED), 1)
    loader = TrainLoader(setting.data, setting.recipe.dataset, order_seed=1, device=setting.device)
    batches = [*loader.epoch(0, 0), *loader.epoch(1, 0)][:4]
    total, count = torch.zeros(HIDDEN, dtype=torch.float64), 0
    for at, (images, labels) in enumerate(batches):
        weights = state_of(RunRef(dense(**DECAYED), step=Step(0, at)), 1, where).weights
        first, shift, last, bias = (
            weights[n].double()
            for n in ("fc_layers.0.weight", "fc_layers.0.bias", "fc.weight", "fc.bias")
        )
        hidden = (images.double().flatten(1) @ first.T + shift).relu().requires_grad_()
        losses = torch.nn.functional.cross_entropy(hidden @ last.T + bias, labels, reduction="sum")
        (slope,) = torch.autograd.grad(losses, hidden)
        total += 0.5 * (hidden * slope).square().sum(0).detach()
        count += len(labels)
    mask = state_of(RunRef(asked, step=Step(0, 4)), 1, where).mask
    assert mask is not None
    cut = (~mask["fc_layers.0.weight"].any(1)).nonzero().flatten().tolist()
    assert sorted(cut) == sorted((total / count).argsort()[:3].tolist())


def test_gates_are_cut_while_training(tmp_path: Path) -> None:
    """A gate that is cut silences its activation in evaluation and training alike."""
    asked = _interleaved(
        granularity="gates", strategy="gate_saliency", prune_every="4it", prune_fraction=0.5
    )
    found = opened(tmp_path / "a", asked)
    assert _rounds(found) == [(4, 4)]
    (gate,) = (name for name in found.mask() if name.startswith("gate:"))
    assert int(found.mask()[gate].sum()) == HIDDEN // 2


@pytest.mark.parametrize("track", ["none", "average", "all"])
def test_a_state_between_two_cuts_is_made_again(track: str, tmp_path: Path) -> None:
    """Replayed, it is what it would have been, had it been saved."""
    asked = _interleaved(
        prune_every="2it", prune_iterations=5, prune_fraction=0.75, granularity="nodes",
        strategy="wg", track=track, preserve_momentum=True,
    )  # fmt: skip
    run(tmp_path / "one", asked)
    later = state_of(RunRef(asked, step=Step(0, 7)), 1, context(tmp_path / "one"))
    run(tmp_path / "two", asked, options(weight_save_steps="7it"))
    saved = state_of(RunRef(asked, step=Step(0, 7)), 1, context(tmp_path / "two"))
    assert differing(later.weights, saved.weights) == []
    assert later.mask == saved.mask
    assert PER_EPOCH == 3


def test_the_job_is_not_its_parents(tmp_path: Path) -> None:
    """Its name says what is done, and defaults are left out of it."""
    asked = _interleaved()
    assert asked.name.startswith("interleaved_")
    assert asked.name != BranchDesc(parent=dense(), branch=Interleaved(prune_lr=0.1)).name
    assert Job(asked) != Job(dense())
    assert asked.branch.masked(asked.parent) is None  # type: ignore[attr-defined]
    assert not (tmp_path / "a").exists()
