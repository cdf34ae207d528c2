"""What is pruned is exactly zero after every step and in every file; what is kept is kept."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from branches.opened import Run
from branches.run import state_of
from foundations.description import RunRef
from foundations.draws import generator
from foundations.steps import Step
from foundations.store import Store
from pruning.mask import Mask
from tests.branches.runs import DECAYED, PER_EPOCH, STEPS, context, dense, options, pruned, run
from training.description import TrainDesc
from training.engine import Engine
from training.setting import Setting
from training.state import State

OPTIMIZERS: dict[str, dict[str, object]] = {
    "sgd": {"weight_decay": 1e-2},
    "momentum": {"momentum": 0.9, "weight_decay": 1e-2},
    "nesterov": {"nesterov_momentum": 0.9, "weight_decay": 1e-2, "clip_gradient_norm": 0.1},
    "adam": {"optimizer_name": "adam", "lr": 0.01, "weight_decay": 1e-2},
    "adamw": {"optimizer_name": "adamw", "lr": 0.01, "weight_decay": 1e-2},
    "bfloat16": {"momentum": 0.9, "weight_decay": 1e-2, "numerics": "bfloat16"},
    "float64": {"momentum": 0.9, "weight_decay": 1e-2, "numerics": "float64"},
}


def _engine(root: Path, recipe: TrainDesc, density: float = 0.3, seed: int = 0) -> Engine:
    """An engine on a random mask, at the beginning of training."""
    setting = Setting.on(context(root).platform, recipe, 1)
    weights = setting.initialization(seed)
    names = [name for name, value in weights.items() if value.dim() > 1]
    mask = Mask(
        {
            name: torch.rand(weights[name].shape, generator=generator(seed, name)) < density
            for name in names
        }
    )
    state = State(0, weights, mask)
    return Engine(
        setting.network(), recipe, setting.data, state, order_seed=1, device=setting.device
    )


def _cut(mask: Mask, tensors: dict[str, Tensor]) -> Tensor:
    """All entries that are pruned, in one vector."""
    return torch.cat([tensors[name][~keep] for name, keep in mask.items()])


@pytest.mark.parametrize("model", ["digits_lenet_8", "cifar_resnet_8_4"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pruned_weights_are_zero_after_every_step(name: str, model: str, tmp_path: Path) -> None:
    """They and their optimizer's tensors; while the kept ones move at every step."""
    engine = _engine(tmp_path / "a", dense(**OPTIMIZERS[name], model_name=model, batch_size=256))
    mask = engine.mask
    assert mask is not None
    before: list[Tensor] = []

    def watch(_: int, __: Tensor) -> bool:
        state = engine.state()
        assert (_cut(mask, state.weights) == 0).all()
        for slot in state.slots.values():
            assert slot.keys() == {""} or (_cut(mask, slot) == 0).all()
        kept = torch.cat([state.weights[name][keep] for name, keep in mask.items()])
        assert not before or (kept != before.pop()).double().mean() > 0.2
        before.append(kept)
        return False

    for epoch in range(2):
        engine.advance((epoch + 1) * engine.iterations_per_epoch, watch)
    assert engine.iteration == 12
    assert before


@settings(max_examples=15, deadline=None)
@given(density=st.floats(0, 1), seed=st.integers(0, 1000), name=st.sampled_from([*OPTIMIZERS]))
def test_any_mask_stays_as_it_is(
    density: float, seed: int, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An empty one, a full one, and all between: what is cut is zero after an epoch."""
    root = tmp_path_factory.getbasetemp() / "any" / "root"
    engine = _engine(root, dense(**OPTIMIZERS[name]), density, seed)
    mask = engine.mask
    assert mask is not None
    engine.advance(PER_EPOCH)
    assert (_cut(mask, engine.state().weights) == 0).all()


def test_pruned_weights_are_zero_in_every_file(tmp_path: Path) -> None:
    """States, replayed ones, and the weights and momentum of checkpoints; so in the model."""
    branch = pruned(dense(**DECAYED))
    recorded = options(checkpoint_every="1it", weight_save_steps="1it,5it")
    state_of(RunRef(branch, step=Step(0, 7)), 1, context(tmp_path / "a", recorded=recorded))
    directory = Store(tmp_path / "a").run(branch, 1)
    mask = Run(directory, tmp_path / "data").mask("0ep")
    assert mask.kept == round(0.2 * mask.total)
    checkpoint = directory.latest_checkpoint(pytest.fail)
    assert checkpoint is not None
    for part in ("weights/", "slots/momentum/"):
        tensors = {path.removeprefix(part): value for path, value in checkpoint.tensors.items()}
        assert (_cut(mask, tensors) == 0).all()
    run(tmp_path / "a", branch, recorded)
    state_of(RunRef(branch, step=Step(0, 2)), 1, context(tmp_path / "a"))
    found = Run(directory, tmp_path / "data")
    assert len(found.steps) == 6
    for step in found.steps:
        assert (_cut(mask, found.weights(step)) == 0).all()
        assert found.mask(step) == mask
        assert (_cut(mask, dict(found.model(step).state_dict())) == 0).all()


def test_rewound_survivors_are_the_parents_bit_for_bit(tmp_path: Path) -> None:
    """Of the state at --state_step, though the mask is of --prune_step; the rest is zero."""
    parent = dense(**DECAYED)
    branch = run(tmp_path / "a", pruned(parent, prune_step="12it", state_step="5it"))
    source = Run(Store(tmp_path / "a").run(parent, 1), tmp_path / "data")
    found = Run(branch, tmp_path / "data")
    mask, rewound, at = found.mask("0ep"), found.weights("0ep"), source.weights("5it")
    assert rewound.keys() == at.keys()
    for name, value in rewound.items():
        keep = mask.get(name, torch.ones_like(value, dtype=torch.bool))
        assert torch.equal(value[keep].view(torch.int32), at[name][keep].view(torch.int32))
        assert (value[~keep] == 0).all()
    end = source.weights()
    kept = torch.cat([end[name][keep].abs() for name, keep in mask.items()])
    assert kept.min() >= _cut(mask, end).abs().max()


def test_a_shuffled_mask_keeps_the_counts_and_the_dense_weights(tmp_path: Path) -> None:
    """Another mask with each layer's count; its survivors are the parent's, and none is zero."""
    plain, shuffled = (
        Run(run(tmp_path / "a", pruned(randomize_layerwise=shuffle)), tmp_path / "data")
        for shuffle in (False, True)
    )
    first, second = plain.mask("0ep"), shuffled.mask("0ep")
    assert first.layers == second.layers
    assert first != second
    source = Run(Store(tmp_path / "a").run(dense(), 1), tmp_path / "data").weights("0ep")
    weights = shuffled.weights("0ep")
    for name, keep in second.items():
        assert torch.equal(weights[name][keep], source[name][keep])
        assert (weights[name][keep] != 0).all()
        assert (weights[name][~keep] == 0).all()


def test_reinitialization_keeps_the_mask_and_changes_the_weights(tmp_path: Path) -> None:
    """And does so another way under another seed."""
    plain, fresh, other = (
        Run(run(tmp_path / "a", pruned(**hparams)), tmp_path / "data")
        for hparams in ({}, {"reinitialize": True}, {"reinitialize": True, "seed": 7})
    )
    mask = plain.mask("0ep")
    assert fresh.mask("0ep") == other.mask("0ep") == mask
    for name, keep in mask.items():
        values = [each.weights("0ep")[name] for each in (plain, fresh, other)]
        assert all((value[~keep] == 0).all() for value in values)
        one, two, three = (value[keep] for value in values)
        assert (one != two).all()
        assert (two != three).all()
        assert 0.5 < one.std() / two.std() < 2 or keep.sum() < 30


def test_a_late_start_trains_as_long_as_is_left(tmp_path: Path) -> None:
    """The schedule and the data go on from --start_step."""
    branch = run(tmp_path / "a", pruned(start_step="7it"))
    assert [row.iteration for row in branch.digests()] == [7, 9, STEPS]
