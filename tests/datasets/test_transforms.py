"""The transforms of examples: keyed, exact in number, and free to be combined."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import transforms
from datasets.data import Content, Split
from datasets.hparams import DatasetHparams
from datasets.transforms import (
    blur,
    held_out,
    part_of,
    random_labels,
    subsample,
    transformed,
    turned,
)
from foundations.draws import generator
from foundations.errors import UserError
from tests.datasets.samples import random_content, random_split


def numbered(count: int, classes: int = 3) -> Split:
    """A split whose images say which one they are."""
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    return Split(images.contiguous(), torch.arange(count) % classes)


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_a_fraction_of_a_count_is_exact(count: int, thousandths: int) -> None:
    """K thousandths of a count are rounded up exactly, without the noise of floats."""
    assert part_of(count, thousandths / 1000) == -(-count * thousandths // 1000)


def test_seven_hundredths_of_a_hundred_are_seven() -> None:
    """Floats say 8: ``0.07 * 100 > 7``."""
    assert math.ceil(0.07 * 100) == 8
    assert part_of(100, 0.07) == 7


@given(st.integers(1, 200), st.floats(0.01, 1), st.integers(0, 5))
@settings(deadline=None)
def test_a_subsample_has_the_count_asked_for_and_no_example_twice(
    count: int, fraction: float, seed: int
) -> None:
    """It is a set of examples with their own labels, the same for the same seed."""
    split = numbered(count)
    found = subsample(split, fraction, seed)
    which = found.images[:, 0, 0, 0].long()
    assert len(found) == part_of(count, fraction)
    assert len(set(which.tolist())) == len(found)
    assert torch.equal(found.labels, split.labels[which])
    assert torch.equal(found.images, subsample(split, fraction, seed).images)


def test_subsamples_of_one_seed_are_nested_and_of_two_seeds_differ() -> None:
    """The smaller is part of the larger."""
    split = numbered(200)
    small, large, other = (
        set(subsample(split, fraction, seed).images[:, 0, 0, 0].tolist())
        for fraction, seed in ((0.2, 1), (0.5, 1), (0.2, 2))
    )
    assert small < large
    assert small != other


def test_random_labels_change_so_many_and_leave_the_rest() -> None:
    """A fraction f of labels drawn from k classes changes f * (1 - 1 / k) of them."""
    labels = torch.arange(10_000) % 10
    found = random_labels(labels, 0.3, 10, seed=1)
    changed = (found != labels).float().mean().item()
    assert abs(changed - 0.27) < 0.02
    assert set(found.tolist()) == set(range(10))
    assert torch.equal(random_labels(labels, 0.0, 10, seed=1), labels)
    assert not torch.equal(random_labels(labels, 0.3, 10, seed=2), found)


def test_every_draw_has_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two draws of all the transforms share a generator, and all are keyed by the seed."""
    keys: list[tuple[str | int, ...]] = []

    def noted(*key: str | int) -> torch.Generator:
        keys.append(key)
        return generator(*key)

    monkeypatch.setattr(transforms, "generator", noted)
    hparams = DatasetHparams(
        dataset_name="digits",
        batch_size=4,
        validation_fraction=0.2,
        subsample_fraction=0.5,
        random_labels_fraction=0.4,
        unsupervised_labels="rotation",
    )
    transformed(random_content((1, 4, 4)), hparams, 3, seed=9)
    assert len(keys) == 3 + 1 + 3 + 2  # classes held out, subsample, splits turned, labels
    assert len(set(keys)) == len(keys)
    assert {key[0] for key in keys} == {9}


def test_the_rotation_task_turns_exactly_by_quarters() -> None:
    """The label says by how many quarter turns an image was turned, and nothing else changes."""
    split = random_split(40, (3, 5, 5), 3)
    found = turned(split, 0, "train")
    assert set(found.labels.tolist()) == {0, 1, 2, 3}
    for before, after, turns in zip(split.images, found.images, found.labels, strict=True):
        assert torch.equal(after, torch.rot90(before, int(turns), (1, 2)))
    assert found.sideways is not None
    assert torch.equal(found.sideways, (found.labels == 1) | (found.labels == 3))


def test_the_rotation_task_draws_anew_for_each_split() -> None:
    """Training and test images are not turned alike."""
    split = random_split(40, (1, 4, 4), 3)
    assert not torch.equal(turned(split, 0, "train").labels, turned(split, 0, "test").labels)


def test_the_rotation_task_refuses_images_that_are_not_square() -> None:
    """On its side such an image would have another shape."""
    with pytest.raises(UserError, match="4x5"):
        turned(random_split(3, (1, 4, 5), 3), 0, "train")


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_blur_works_for_any_size_and_factor(height: int, width: int, factor: int) -> None:
    """The size stays, a uniform image stays, and no pixel leaves the range of the image."""
    images = random_split(2, (3, height, width), 1).images
    found = blur(images, factor)
    assert found.shape == images.shape
    assert found.dtype == torch.uint8
    assert found.max() <= images.max()
    assert found.min() >= images.min()
    uniform = torch.full_like(images, 77)
    assert torch.equal(blur(uniform, factor), uniform)


def test_blur_by_the_whole_size_gives_the_mean() -> None:
    """An image made as small as one pixel is uniform; a factor of 1 changes nothing."""
    images = torch.tensor([[0, 100], [100, 200]], dtype=torch.uint8).view(1, 1, 2, 2)
    assert blur(images, 2).eq(100).all()
    assert torch.equal(blur(images, 1), images)


@given(st.integers(4, 100), st.floats(0.1, 0.9), st.integers(0, 3))
@settings(deadline=None)
def test_a_validation_split_is_of_the_same_classes_and_loses_nothing(
    count: int, fraction: float, seed: int
) -> None:
    """Both parts together are the whole, and each class is split at the fraction."""
    split = numbered(count)
    kept, out = held_out(split, fraction, seed, "validation")
    everything = torch.cat([kept.images, out.images])[:, 0, 0, 0]
    assert sorted(everything.tolist()) == list(range(count))
    for label in range(3):
        total = int((split.labels == label).sum())
        assert abs(int((out.labels == label).sum()) - fraction * total) <= 0.5


def test_all_transforms_combine() -> None:
    """Every combination gives splits of the right size, type and classes, and the same again."""
    content = random_content((3, 8, 8), classes=3)
    options = {
        "validation_fraction": 0.2,
        "subsample_fraction": 0.5,
        "random_labels_fraction": 0.4,
        "unsupervised_labels": "rotation",
        "blur_factor": 3,
    }
    for chosen in itertools.product([False, True], repeat=len(options)):
        on = {name: options[name] for name, use in zip(options, chosen, strict=True) if use}
        hparams = DatasetHparams.from_dict({"dataset_name": "digits", "batch_size": 4} | on)
        train, validation, test, classes = transformed(content, hparams, 3, seed=1)
        assert classes == (4 if "unsupervised_labels" in on else 3)
        left = 24 if "validation_fraction" in on else 30
        assert len(train) == (left // 2 if "subsample_fraction" in on else left)
        assert (validation is not None) == ("validation_fraction" in on)
        for split in (train, test, *([validation] if validation else [])):
            assert split.images.dtype == torch.uint8
            assert split.images.shape[1:] == (3, 8, 8)
            assert len(split.images) == len(split.labels)
            assert split.labels.max() < classes
        again = transformed(content, hparams, 3, seed=1)[0]
        assert torch.equal(train.images, again.images)
        assert torch.equal(train.labels, again.labels)


def test_only_training_examples_are_subsampled_blurred_and_mislabelled() -> None:
    """Validation and test examples are what they were."""
    content = random_content((3, 8, 8), classes=3)
    plain = DatasetHparams(dataset_name="digits", batch_size=4, validation_fraction=0.2)
    spoiled = DatasetHparams(
        dataset_name="digits",
        batch_size=4,
        validation_fraction=0.2,
        subsample_fraction=0.5,
        blur_factor=2,
        random_labels_fraction=1.0,
    )
    before, after = (transformed(content, hparams, 3, seed=1) for hparams in (plain, spoiled))
    for left, right in zip(before[1:3], after[1:3], strict=True):
        assert left is not None
        assert right is not None
        assert torch.equal(left.images, right.images)
        assert torch.equal(left.labels, right.labels)


def test_the_transformation_seed_replaces_the_replicates() -> None:
    """With it all replicates see the same examples; 0 is a seed like any other."""
    content = Content(numbered(100), numbered(10))
    follows = DatasetHparams(dataset_name="digits", batch_size=4, subsample_fraction=0.5)
    fixed = DatasetHparams(
        dataset_name="digits", batch_size=4, subsample_fraction=0.5, transformation_seed=0
    )

    def images(hparams: DatasetHparams, seed: int) -> list[int]:
        chosen = transformed(content, hparams, 3, seed)[0].images[:, 0, 0, 0]
        return [int(value) for value in chosen]

    assert images(follows, 1) != images(follows, 2)
    assert images(fixed, 1) == images(fixed, 2) == images(follows, 0)


def test_a_validation_split_that_leaves_nothing_is_refused() -> None:
    """A fraction of no example of any class is no validation."""
    hparams = DatasetHparams(dataset_name="digits", batch_size=4, validation_fraction=0.01)
    with pytest.raises(UserError, match="30 examples for training and 0"):
        transformed(random_content(), hparams, 3, seed=1)
