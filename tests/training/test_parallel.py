"""Two processes that train together find what one process finds that has the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from branches.run import Job, complete, state_of
from commands.progress import Silent
from foundations.description import RunRef
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from platforms.local import Local
from tests.training.together import runs
from training.context import Context

if TYPE_CHECKING:
    from foundations.description import Description
    from training.state import State

PROJECT = Path(__file__).resolve().parents[2]
TORCHRUN = (sys.executable, "-W", "error", "-m", "torch.distributed.run", "--standalone")
DENSE, TRACKED, TAUGHT = range(3)


@dataclass(frozen=True)
class Together:
    """What two processes have found, and the runs that they have trained."""

    found: list[dict[str, Any]]
    context: Context


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Together:
    """One start of two processes, for all that they are to find: it takes the longest."""
    folder = tmp_path_factory.mktemp("together")
    script = PROJECT / "tests/training/taking_part.py"
    command = [*TORCHRUN, "--nproc_per_node=2", str(script), str(folder)]
    done = subprocess.run(
        command, cwd=PROJECT, env=_environ(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    return Together(found, _context(folder / "runs"))


def _environ() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}


def _context(root: Path) -> Context:
    return Context(Local(root=str(root), device="cpu", threads=1), Silent())


@pytest.mark.slow
def test_batch_norms_are_those_of_the_whole_batch(together: Together) -> None:
    """Outputs, slopes and running statistics as ``nn.BatchNorm`` has them, in every process."""
    for found in together.found:
        assert len(found["norms"]) == 4
        assert max(found["norms"].values()) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("case", ["lenet", "resnet", "distilled", "adam"])
def test_updates_are_those_of_one_process(together: Together, case: str) -> None:
    """Six updates, the last of each epoch on one example, which one process has none of.

    Weights, masked, statistics and slots; with decay, momentum, smoothing, clipping, augmentation.
    """
    first, second = (found["steps"][case] for found in together.found)
    assert first["moved"] > 0.01
    for found in (first, second):
        assert found["difference"] < 1e-10
        assert found["loss"] < 1e-10
    assert first["digest"] == second["digest"]


@pytest.mark.slow
@pytest.mark.parametrize("case", ["lenet", "resnet"])
def test_evaluation_is_that_of_one_process(together: Together, case: str) -> None:
    """Every example counts once, whoever has it."""
    for found in together.found:
        accuracy, loss, top2, examples = found["steps"][case]["evaluated"]
        alone = found["steps"][case]["evaluated alone"]
        assert [accuracy, top2, examples] == [alone[0], alone[2], 7]
        assert loss == pytest.approx(alone[1], abs=1e-10)


@pytest.mark.slow
def test_each_process_draws_for_itself(together: Together) -> None:
    """Of equal examples, dropout leaves each process something else; both know the whole loss."""
    (own, whole), (others, same) = (found["draws"] for found in together.found)
    assert own != others
    assert own + others == pytest.approx(whole)
    assert whole == same


@pytest.mark.slow
def test_all_stop_behind_the_same_update(together: Together) -> None:
    """The second process asks behind the second update, and tells with the third."""
    assert [found["stopped"] for found in together.found] == [3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("which", [DENSE, TRACKED, TAUGHT])
def test_runs_are_those_of_one_process(together: Together, tmp_path: Path, which: int) -> None:
    """A whole run, pruned by what is tracked, or taught by another: mask, weights and measures."""
    ours, alone = runs("float64_world_2")[which], runs("float64")[which]
    context = _context(tmp_path)
    complete(Job(alone), context)
    mine, theirs = _end(ours, together.context), _end(alone, context)
    assert (mine.mask is not None) == (which == TRACKED)
    assert mine.mask == theirs.mask
    for name, weight in theirs.weights.items():
        torch.testing.assert_close(mine.weights[name], weight, rtol=0, atol=1e-9)
    rows = [_measures(ours, together.context), _measures(alone, context)]
    assert rows[0] == pytest.approx(rows[1], abs=1e-9)


def _end(description: Description, context: Context) -> State:
    ref = RunRef(description, step=Step.parse("1ep" if "distill" in description.name else "2ep"))
    return state_of(ref, 1, context)


def _measures(description: Description, context: Context) -> dict[str, float]:
    rows = context.store.run(description, 1).metrics()
    return {f"{row.iteration} {row.phase} {row.name}": row.value for row in rows}


@pytest.mark.slow
def test_the_world_is_recorded(together: Together) -> None:
    """A fingerprint says how many processes computed the bytes."""
    directory = together.context.store.run(runs("float64_world_2")[DENSE], 1)
    (session,) = directory.fact(Fact.PROVENANCE)["sessions"]
    assert session["fingerprint"]["numerics"] == "float64_world_2"


@pytest.mark.parametrize(
    ("numerics", "says"),
    [
        ("float32_world_1", "a whole number from 2 on"),
        ("float32_world_02", "a whole number from 2 on"),
        ("float32_world_", "a whole number from 2 on"),
        ("compiled_world_2", "cannot be compiled"),
        ("flot32_world_2", "Did you mean 'float32'"),
    ],
)
def test_worlds_that_are_refused(numerics: str, says: str) -> None:
    """One meaning has one name, and what cannot be done is refused before it is tried."""
    with pytest.raises(UserError, match=says):
        runs(numerics)
