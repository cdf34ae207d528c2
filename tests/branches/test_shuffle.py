"""``shuffle``: another mask of the same counts, on the weights of the dense run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from branches.finetune import Finetune
from branches.oneshot import Oneshot
from branches.reinit import Reinit
from branches.shuffle import Shuffle
from foundations.description import RunRef
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from foundations.store import Store
from tests.branches.branched import differing, levels, masked, on, opened
from tests.branches.runs import DECAYED, dense, options, pruned, run

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from foundations.description import Description

TUNED: Any = Finetune.from_dict({"finetune_training_steps": "2it"})
LATE: dict[str, Any] = {"parent": None, "prune_step": "4ep", "state_step": "4it"}


@pytest.mark.parametrize("how", ["layerwise", "global", "even"])
@pytest.mark.parametrize(
    ("parent", "source", "begin"),
    [
        (pruned(), "0ep", "0ep"),
        (pruned(**LATE), "4it", "0ep"),
        (pruned(**LATE, start_step="5it"), "4it", "5it"),
        (levels(2)[2], "0ep", "0ep"),
        (levels(2, rewinding_steps="4it")[2], "4it", "4it"),
        (levels(1, rewinding_steps="4it", rewind="learning_rate")[1], "4ep", "4it"),
    ],
    ids=["oneshot", "state_step", "start_step", "level", "late level", "learning rate"],
)
def test_the_mask_changes_and_the_weights_are_the_dense_runs(
    parent: Description, source: str, begin: str, how: str, tmp_path: Path
) -> None:
    """None of them is zero, though the parent's own mask had cut many; it begins where that did."""
    weights = opened_dense(tmp_path / "a", source)
    found = opened(tmp_path / "a", on(parent, Shuffle(shuffle=how)))
    before, mask = opened(tmp_path / "a", parent).mask(begin), found.mask()
    assert mask.kept == before.kept
    assert not any((mask[name] == before[name]).all() for name in mask)
    assert any((mask[name] & ~before[name]).any() for name in mask)
    assert differing(found.weights(begin), masked(weights, mask)) == []
    assert all((found.weights(begin)[name][keep] != 0).all() for name, keep in mask.items())
    assert found.directory.digests()[0].iteration == Step.parse(begin).iterations(3)


def test_the_weights_of_a_second_round_are_those_of_the_dense_runs_end(tmp_path: Path) -> None:
    """Not those at the step at which the fine-tuning before it ended."""
    tuned = on(pruned(prune_step="4ep", state_step="4ep", start_step="4ep"), TUNED)
    again: dict[str, Any] = dict.fromkeys(("prune_step", "state_step", "start_step"), "2it")
    found = opened(tmp_path / "a", on(pruned(tuned, **again), Shuffle()))
    dense_end = opened(tmp_path / "a", dense()).weights()
    assert differing(found.weights(), masked(dense_end, found.mask())) == []


def opened_dense(root: Path, step: str) -> dict[str, Tensor]:
    """The dense run's weights at a step."""
    run(root, dense(), options(weight_save_steps=step))
    return opened(root, dense()).weights(step)


def test_what_each_way_keeps(tmp_path: Path) -> None:
    """Each layer's count; that of all layers; or the same fraction of each layer."""
    masks = {
        how: opened(tmp_path / "a", on(pruned(), Shuffle(shuffle=how))).mask().layers
        for how in ("layerwise", "global", "even")
    }
    before = opened(tmp_path / "a", pruned()).mask().layers
    assert masks["layerwise"] == before
    assert masks["even"] == {"fc.weight": (16, 80), "fc_layers.0.weight": (102, 512)}
    assert before["fc.weight"].kept not in (16, masks["global"]["fc.weight"].kept)
    assert abs(masks["global"]["fc.weight"].kept - 16) < 15  # four standard deviations


@pytest.mark.parametrize("how", ["global", "even"])
def test_layers_that_were_not_to_be_pruned_stay_whole(how: str, tmp_path: Path) -> None:
    """Others do not get what they keep, nor lose what they have."""
    parent = pruned(layers_to_ignore=("fc.weight",))
    layers = opened(tmp_path / "a", on(parent, Shuffle(shuffle=how))).mask().layers
    assert layers == opened(tmp_path / "a", parent).mask().layers
    assert layers["fc.weight"] == (80, 80)


def test_it_trains_as_the_parent_was_trained(tmp_path: Path) -> None:
    """By the same order and learning rates: on the dense parent's mask, the parent again."""
    whole = pruned(dense(**DECAYED), prune_fraction=0.0)
    ends = [opened(tmp_path / "a", each).weights() for each in (whole, on(whole, Shuffle()))]
    assert differing(*ends) == []


def test_the_seed(tmp_path: Path) -> None:
    """Replicates are shuffled differently, unless a seed is given; as are seeds."""
    model = pruned(dense(model_seed=1, data_order_seed=1))
    free, fixed, other = (on(model, Shuffle(seed=seed)) for seed in (None, 3, 4))
    masks = {
        (which, replicate): opened(tmp_path / "a", each, replicate).mask()
        for which, each in (("free", free), ("fixed", fixed), ("other", other))
        for replicate in (1, 2)
    }
    assert masks["free", 1] != masks["free", 2]
    assert masks["fixed", 1] == masks["fixed", 2] != masks["other", 1]


def test_a_dense_parent_is_refused(tmp_path: Path) -> None:
    """The message says what to do, and nothing is trained."""
    branch = on(dense(), Shuffle())
    with pytest.raises(UserError, match="its parent, which is not pruned: name a run that is"):
        run(tmp_path / "a", branch)
    assert Store(tmp_path / "a").run(branch, 1).fact(Fact.START) is None
    with pytest.raises(UserError, match="Did you mean 'layerwise'"):
        Shuffle(shuffle="layer_wise")


@pytest.mark.parametrize("initializer", [None, "orthogonal"])
@pytest.mark.parametrize("parent", [pruned(), levels(1, rewinding_steps="4it")[1]])
def test_a_reinitialized_run_is_shuffled_on_its_own_draw(
    parent: Description, initializer: str | None, tmp_path: Path
) -> None:
    """So shuffling and reinitializing commute: the same run, bit for bit, to the end."""
    shuffled = opened(
        tmp_path / "a", on(on(parent, Reinit(reinit_model_init=initializer)), Shuffle())
    )
    drawn = opened(tmp_path / "a", on(on(parent, Shuffle()), Reinit(reinit_model_init=initializer)))
    first = shuffled.steps[0]
    assert shuffled.mask() == drawn.mask()
    assert differing(shuffled.weights(first), drawn.weights(first)) == []
    assert differing(shuffled.weights(), drawn.weights()) == []


def test_a_level_on_a_reinitialized_run(tmp_path: Path) -> None:
    """Goes back to the new draw, and so does its shuffle: also where the reinit's mask had cut."""
    fresh = on(pruned(prune_fraction=0.5), Reinit(seed=5))
    level = levels(1, fresh)[1]
    draw = opened(tmp_path / "a", on(dense(), Reinit(seed=5))).weights("0ep")
    for each in (level, on(level, Shuffle())):
        found = opened(tmp_path / "a", each)
        assert differing(found.weights("0ep"), masked(draw, found.mask())) == []


def test_a_oneshot_that_was_reinitialized_is_shuffled_on_its_own_draw(tmp_path: Path) -> None:
    """Not on the weights at its --state_step, which it never had."""
    fresh = pruned(reinitialize=True)
    draw = opened(tmp_path / "a", on(dense(), Reinit())).weights("0ep")
    found = opened(tmp_path / "a", on(fresh, Shuffle()))
    assert differing(found.weights("0ep"), masked(draw, found.mask())) == []


def test_a_draw_that_depends_on_the_mask_takes_no_other(tmp_path: Path) -> None:
    """The message says which order works, and that works."""
    scaled = Reinit(scaled=True)
    with pytest.raises(UserError, match=r"depends on the mask.*\(shuffle, layer_matched\), and"):
        run(tmp_path / "a", on(on(pruned(), scaled), Shuffle()))
    opened(tmp_path / "a", on(on(pruned(), Shuffle()), scaled))


def test_a_shuffle_of_a_shuffle(tmp_path: Path) -> None:
    """Is on the dense weights still."""
    once = on(levels(1, rewinding_steps="4it")[1], Shuffle())
    found = opened(tmp_path / "a", on(once, Shuffle(seed=9)))
    assert found.mask() != opened(tmp_path / "a", once).mask()
    weights = opened_dense(tmp_path / "b", "4it")
    assert differing(found.weights("4it"), masked(weights, found.mask())) == []


def test_a_finetuned_run_is_shuffled_on_the_dense_end(tmp_path: Path) -> None:
    """The values it began from are those of the dense run's end, as far as they were kept."""
    tuned = on(pruned(**LATE), TUNED)
    found = opened(tmp_path / "a", on(tuned, Shuffle()))
    weights = opened(tmp_path / "a", dense()).weights()
    assert differing(found.weights("0ep"), masked(weights, found.mask())) == []
    assert found.directory.digests()[-1].iteration == 2


def test_a_oneshot_of_other_runs_is_shuffled_on_their_weights(tmp_path: Path) -> None:
    """Those of the replicate that its weights were of."""
    other = RunRef(dense(lr=0.05), 2)
    branch = Oneshot(state_experiment=other, state_step=Step(0, 4))
    found = opened(tmp_path / "a", on(on(dense(), branch), Shuffle()))
    run(tmp_path / "b", dense(lr=0.05), options(weight_save_steps="4it"), 2)
    weights = opened(tmp_path / "b", dense(lr=0.05), 2).weights("4it")
    assert differing(found.weights("0ep"), masked(weights, found.mask())) == []


@pytest.mark.parametrize("kind", [Shuffle, Reinit])
def test_the_same_draw_again_is_refused(kind: type[Shuffle | Reinit], tmp_path: Path) -> None:
    """It would be the parent's, or undo and redo it, under another name; another seed is fine."""
    once = on(pruned(), kind())
    with pytest.raises(UserError, match="with the same seed repeats its draw"):
        run(tmp_path / "a", on(once, kind()))
    run(tmp_path / "a", on(once, kind(seed=77)))
