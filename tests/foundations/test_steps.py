"""Steps are written, read and counted exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from foundations.errors import UserError
from foundations.step_folders import in_order, step_of
from foundations.steps import Step, parse_steps

STEPS = some.builds(Step, some.integers(0, 10**6), some.integers(0, 10**6))


@given(STEPS)
def test_text_and_folder_name_are_read_back_as_the_same_step(step: Step) -> None:
    """A step survives being written down, in both of its forms."""
    assert Step.parse(str(step)) == step
    assert step_of(step.folder) == step


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("160ep", Step(160)),
        ("50000it", Step(0, 50000)),
        ("3ep200it", Step(3, 200)),
        (" 0it ", Step()),
        ("0ep", Step()),
    ],
)
def test_the_documented_forms_are_understood(text: str, step: Step) -> None:
    """Epochs, iterations, or both."""
    assert Step.parse(text) == step


@pytest.mark.parametrize("text", ["", "3", "ep", "200it3ep", "-1ep", "1.5ep", "3ep 200it", "3EP"])
def test_anything_else_is_refused_and_quoted(text: str) -> None:
    """The message holds what was given and how steps are written."""
    with pytest.raises(UserError, match="3ep200it") as caught:
        Step.parse(text)
    assert repr(text) in str(caught.value)


@given(some.integers(0, 10**6), some.integers(1, 1000))
def test_a_step_counts_back_to_its_iterations(iteration: int, per_epoch: int) -> None:
    """``at`` makes whole epochs, and ``iterations`` undoes it."""
    step = Step.at(iteration, per_epoch)
    assert step.iteration < per_epoch
    assert step.iterations(per_epoch) == iteration


@given(some.integers(0, 10**5), some.integers(0, 10**5), some.integers(1, 1000))
def test_steps_with_whole_epochs_are_ordered_by_time(one: int, other: int, per_epoch: int) -> None:
    """The order of folders is the order of training."""
    left, right = Step.at(one, per_epoch), Step.at(other, per_epoch)
    assert (in_order(left) < in_order(right)) == (one < other)


@given(some.lists(STEPS))
def test_a_list_of_steps_is_read_back(steps: list[Step]) -> None:
    """Comma-separated steps survive, also none at all."""
    assert parse_steps(",".join(map(str, steps))) == tuple(steps)


def test_a_negative_step_is_refused() -> None:
    """Training does not begin before it begins."""
    with pytest.raises(UserError, match="negative"):
        Step(-1)


def test_a_step_is_made_of_whole_numbers() -> None:
    """``2.0`` is ``2``, of the same name; ``1.5`` and ``True`` are refused."""
    assert Step(2.0).folder == Step(2).folder  # type: ignore[arg-type]
    for bad in (1.5, True, "1", None):
        with pytest.raises(UserError, match=f"whole numbers: {bad!r} is not a whole number"):
            Step(0, bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ep3", "ep3_it", "xep3_it4", "ep3_it4x", "ep-1_it0", ".ep1_it0"])
def test_a_folder_of_another_name_belongs_to_no_step(name: str) -> None:
    """Foreign folders are not ours."""
    assert step_of(name) is None
