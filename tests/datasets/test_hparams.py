"""The hyperparameters of the data: what is refused, what is hashed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from datasets import DATASETS
from datasets.dataset import Augmentation
from datasets.hparams import DatasetHparams
from datasets.normalizations import named
from foundations.errors import UserError

MNIST = DatasetHparams(dataset_name="mnist", batch_size=128)


@pytest.mark.parametrize(
    "bad",
    [
        {"batch_size": 0},
        {"batch_size": "128"},
        {"subsample_fraction": 0.0},
        {"subsample_fraction": 1.5},
        {"subsample_fraction": "half"},
        {"transformation_seed": 0.5},
        {"transformation_seed": -1},
        {"batch_size": None},
        {"do_not_augment": 1},
        {"validation_fraction": None},
        {"random_labels_fraction": -0.1},
        {"unsupervised_labels": "jigsaw"},
        {"blur_factor": 0},
        {"validation_fraction": 1.0},
        {"augment_crop": -1},
        {"augment_crop_mode": "wrap"},
        {"augment_rotation": 181.0},
        {"augment_stretch": 1.0},
        {"augment_rotation_labels": "1:7.5"},
        {"augment_rotation_labels": "1=7.5,1=9"},
        {"augment_rotation_labels": "1=181"},
        {"augment_rotation_labels": ""},
        {"normalize": "svhn"},
        {"normalize": "cifar"},
        {"image_size": 32},
        {"folder": "/images"},
        {"folder_digest": "0" * 64},
    ],
)
def test_a_bad_value_is_refused_with_its_field_and_value(bad: dict[str, Any]) -> None:
    """The message names the field and the value."""
    ((field, value),) = bad.items()
    with pytest.raises(UserError, match=f"{field}={value!r} is not allowed"):
        replace(MNIST, **bad)


def test_a_mistyped_data_set_gets_the_nearest_suggested() -> None:
    """The message names the data set that was meant."""
    with pytest.raises(UserError, match="Did you mean 'fashion_mnist'"):
        DatasetHparams(dataset_name="fashion-mnist", batch_size=1)


def test_a_reflected_padding_must_be_smaller_than_the_image() -> None:
    """A row can be reflected only if it is there."""
    replace(MNIST, augment_crop=27, augment_crop_mode="reflect")
    replace(MNIST, augment_crop=28)
    with pytest.raises(UserError, match=r"augment_crop=28.*28x28"):
        replace(MNIST, augment_crop=28, augment_crop_mode="reflect")


def test_angles_of_labels_have_one_spelling_and_known_labels() -> None:
    """The same angles are the same run; a label that no image has is a mistake."""
    spelled = replace(MNIST, augment_rotation_labels=" 7=07.50, 1=7.5")
    assert spelled.augment_rotation_labels == "1=7.5,7=7.5"
    assert spelled.augmented(Augmentation()).rotation_labels == ((1, 7.5), (7, 7.5))
    with pytest.raises(UserError, match="the label 10, which is not allowed: there are 10 classes"):
        replace(MNIST, augment_rotation_labels="10=5")
    with pytest.raises(UserError, match="augment_rotation_labels"):
        replace(spelled, unsupervised_labels="rotation")


def test_gray_images_can_be_normalized_by_a_half_and_not_by_colors() -> None:
    """Three means do not fit one channel."""
    assert named("half", 1) == ((0.5,), (0.5,))
    assert named("half", 3) == ((0.5,) * 3, (0.5,) * 3)
    assert named("cifar", 3)[1] == (0.2023, 0.1994, 0.2010)
    for rounded, exact in zip(named("wide_resnet", 3), named("cifar10", 3), strict=True):
        assert rounded == pytest.approx(exact, abs=0.05 / 255)
    replace(MNIST, normalize="half")
    replace(MNIST, dataset_name="cifar10", normalize="cifar100")
    with pytest.raises(UserError, match="3 channels, and these images have 1"):
        replace(MNIST, normalize="imagenet")


def test_a_streamed_data_set_may_be_given_a_place_and_no_size() -> None:
    """Its images are brought to the size that its recipe has."""
    plain = replace(MNIST, dataset_name="imagenet")
    assert replace(plain, folder="/images").canonical() == plain.canonical()
    with pytest.raises(UserError, match="image_size=32 is not allowed"):
        replace(plain, image_size=32)
    with pytest.raises(UserError, match="64 hex digits"):
        replace(plain, folder_digest="abc")


def test_an_image_folder_needs_a_path_or_a_checksum() -> None:
    """Without either nobody knows which images are meant."""
    with pytest.raises(UserError, match="--folder=PATH"):
        DatasetHparams(dataset_name="folder", batch_size=1)
    with pytest.raises(UserError, match="64 hex digits"):
        DatasetHparams(dataset_name="folder", batch_size=1, folder_digest="abc")


def test_the_path_of_a_folder_is_not_hashed_and_its_checksum_is() -> None:
    """The same images elsewhere are the same data."""
    here = DatasetHparams(
        dataset_name="folder", batch_size=1, folder="/here", folder_digest="0" * 64
    )
    assert here.canonical() == replace(here, folder="/there").canonical()
    assert here.canonical() != replace(here, folder_digest="1" * 64).canonical()


def test_only_what_differs_from_a_default_is_hashed() -> None:
    """A new field does not change old names."""
    assert MNIST.canonical() == {"batch_size": 128, "dataset_name": "mnist"}


def test_hyperparameters_survive_json() -> None:
    """What is read is what was written."""
    full = replace(MNIST, augment_rotation=5, blur_factor=2, validation_fraction=0.1)
    assert DatasetHparams.from_dict(full.to_dict()) == full


def test_the_version_of_a_data_set_is_hashed_when_it_is_above_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A data set whose tensors change gives runs new names."""
    assert MNIST.versions() == {"dataset:mnist": 1}
    monkeypatch.setitem(DATASETS._versions, "mnist", 2)
    assert MNIST.canonical()["versions"] == {"dataset:mnist": 2}


def test_flags_override_the_augmentation_of_the_data_set_one_by_one() -> None:
    """What no flag names stays as the data set has it; do_not_augment turns all of it off."""
    default = Augmentation(crop=4, flip=True)
    assert MNIST.augmented(default) == default
    changed = replace(MNIST, augment_flip=False, augment_crop_mode="reflect", augment_rotation=9)
    expected = Augmentation(crop=4, crop_mode="reflect", flip=False, rotation=9.0)
    assert changed.augmented(default) == expected
    assert replace(changed, do_not_augment=True).augmented(default).off
    assert replace(MNIST, augment_crop=0, augment_flip=False).augmented(default).off
