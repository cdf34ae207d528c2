"""The switches of the process, and the compiled profile."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch._dynamo import config
from torch.utils import deterministic

from datasets.loader import EvalLoader
from tests.training.examples import CPU, engine_of, network_for, random_data, recipe, trained
from training.evaluation import Evaluation
from training.numerics import applied

if TYPE_CHECKING:
    from pathlib import Path


def _switches() -> tuple[object, ...]:
    return (
        torch.get_num_threads(),
        torch.get_deterministic_debug_mode(),
        deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined] # of the module
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.get_default_dtype(),
    )


@pytest.mark.parametrize("fails", [False, True])
def test_switches_are_put_back(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a parameter of the test
    """Within, all is exact; on leaving, by an error too, the process is as it was."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = True
    torch.set_default_dtype(torch.float64)
    before = _switches()
    try:
        with applied("float32", threads=2):
            assert _switches() == (2, 2, False, False, False, "highest", torch.float32)
            if fails:
                raise RuntimeError  # noqa: TRY301 - what the context must survive
    except RuntimeError:
        assert fails
    assert _switches() == before
    torch.set_default_dtype(torch.float32)
    torch.backends.cudnn.benchmark = False
    torch.set_float32_matmul_precision(precision)


def test_every_network_has_a_cache_of_graphs_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """More widths than the graphs that PyTorch allows a function are trained and measured."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    data = random_data(8, 8)
    with config.patch(recompile_limit=2):  # not 8, which takes as long
        for width in (2, 3, 4):
            made = recipe(f"digits_lenet_{width}", numerics="compiled")
            engine = trained(engine_of(made, data), 2)
            evaluation = Evaluation(network_for(made, data), made.training)
            batches = EvalLoader(data.test, data, batch_size=8, device=CPU)
            assert evaluation.measure(engine.weights(), batches)["loss"] > 0


@pytest.mark.slow
def test_compiled_losses_are_those_of_eager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole batches as one graph and the ragged last one eager; resuming there changes no bit."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    data = random_data(6)
    flags: dict[str, Any] = {
        "momentum": 0.9,
        "clip_gradient_norm": 1.0,
        "weight_decay": 0.01,
        "training_steps": "3ep",
    }
    engines = {
        profile: engine_of(recipe(numerics=profile, **flags), data)
        for profile in ("float32", "compiled")
    }
    for epoch in (1, 2, 3):
        losses = [trained(engine, 2 * epoch).epoch_loss() for engine in engines.values()]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    compiled = recipe(numerics="compiled", **flags)
    ragged = trained(engine_of(compiled, data), 3).state()
    resumed = trained(engine_of(compiled, data, ragged), 6).weights()
    whole = engines["compiled"].weights()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_compiled_steps_keep_the_statistics_of_batch_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A residual network compiles into one graph, and its buffers move as they do eagerly."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    data = random_data(8, 8, shape=(3, 8, 8))
    flags: dict[str, Any] = {"milestone_steps": "", "gamma": None, "dataset_name": "digits"}
    engines = [
        trained(engine_of(recipe("cifar_resnet_8_4", numerics=profile, **flags), data), 2)
        for profile in ("float32", "compiled")
    ]
    eager, compiled = (engine.weights() for engine in engines)
    assert eager["bn.num_batches_tracked"] == compiled["bn.num_batches_tracked"] == 2
    assert (eager["bn.running_mean"] != 0).all()
    for name in eager:
        torch.testing.assert_close(eager[name], compiled[name], rtol=1e-3, atol=1e-4)
