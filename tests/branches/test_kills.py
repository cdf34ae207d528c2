"""Kill -9 at any moment of a run, and the same command: the bytes of an undisturbed run."""

import random
import shutil
import signal
from itertools import count
from pathlib import Path

import pytest

from foundations.run_directory import RunState
from foundations.store import Store
from tests.branches.deeds import carry_out, carry_out_unkeyed, carry_out_until
from tests.branches.runs import EXAMPLES, SHORT, STEPS, begun, contents, run
from tests.foundations.kills import exit_code, start

KILLED = -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_run_that_is_killed_at_any_step_ends_as_an_undisturbed_one(
    name: str, tmp_path: Path
) -> None:
    """States, tables and seal, byte for byte; and before it continues it is not complete."""
    example = EXAMPLES[name]
    assert exit_code(carry_out, tmp_path / "undisturbed", example) == 0
    expected = contents(tmp_path / "undisturbed")
    assert any(path.endswith("done.json") for path in expected)
    for step in count(1):
        root = tmp_path / str(step)
        code = exit_code(carry_out, root, example, step)
        if code == 0:
            break
        assert code == KILLED
        states = {found.state for found in Store(root).runs()}
        assert states in ({RunState.INTERRUPTED}, {RunState.INTERRUPTED, RunState.NEW})
        assert exit_code(carry_out, root, example) == 0
        assert contents(root) == expected, step
    assert step > STEPS


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_run_that_is_killed_again_and_again_ends_as_an_undisturbed_one(
    name: str, tmp_path: Path
) -> None:
    """Each life is short, and each goes on from where the one before was killed."""
    example = EXAMPLES[name]
    lives = [3, 1, 6, 5, 2, 7]
    codes = [exit_code(carry_out, tmp_path / "killed", example, life) for life in lives]
    assert codes.count(KILLED) >= 3
    assert exit_code(carry_out, tmp_path / "killed", example) == 0
    assert exit_code(carry_out, tmp_path / "undisturbed", example) == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


def test_the_test_fails_for_a_draw_that_is_left_out_of_the_key(tmp_path: Path) -> None:
    """The control: an order that depends on what was drawn before does not survive a kill."""
    example = EXAMPLES["checkpoints amid epochs"]
    for root in ("undisturbed", "again"):
        assert exit_code(carry_out_unkeyed, tmp_path / root, example) == 0
    assert contents(tmp_path / "again") == contents(tmp_path / "undisturbed")
    assert exit_code(carry_out_unkeyed, tmp_path / "killed", example, 8) == KILLED
    assert exit_code(carry_out_unkeyed, tmp_path / "killed", example) == 0
    killed, expected = contents(tmp_path / "killed"), contents(tmp_path / "undisturbed")
    assert killed.keys() == expected.keys()
    differing = {Path(path).name for path in expected if killed[path] != expected[path]}
    assert {"model.safetensors", "metrics.csv", "digests.csv", "done.json"} <= differing


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_a_run_that_is_killed_at_any_stage_of_writing_ends_as_an_undisturbed_one(
    name: str, tmp_path: Path
) -> None:
    """At each change of the files: what is there verifies, and the next command ends well."""
    example = SHORT[name]
    base, undisturbed = tmp_path / "base", tmp_path / "undisturbed"
    begun(base, example)
    shutil.copytree(base, undisturbed)
    run(undisturbed, example.description, example.options)
    expected = contents(undisturbed)
    for change in count(1):
        root = tmp_path / str(change)
        shutil.copytree(base, root)
        if exit_code(carry_out_until, root, example, change) == 0:
            break
        for found in Store(root).runs():
            found.verify()
        run(root, example.description, example.options)
        assert contents(root) == expected, change
    assert change > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_is_killed_at_random_times_ends_as_an_undisturbed_one(
    seed: int, tmp_path: Path
) -> None:
    """Wherever the kill falls; it gets through, for each life is longer than the ones before."""
    draws = random.Random(seed)  # noqa: S311 - no secret
    example = EXAMPLES["pruned amid training" if seed % 2 else "checkpoints amid epochs"]
    assert exit_code(carry_out, tmp_path / "undisturbed", example) == 0
    kills = 0
    for life in count(1):
        process = start(carry_out, tmp_path / "killed", example)
        process.join(draws.uniform(0, 0.03 * life))
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == KILLED
        kills += 1
    assert kills >= 1
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
