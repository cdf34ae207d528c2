"""Which data a run uses, and what is done to it before and while it is trained on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasets import DATASETS
from datasets.dataset import CROP_MODES, Augmentation
from foundations.hparams import Hparams, not_hashed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foundations.registry import Version

UNSUPERVISED = ("rotation",)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class DatasetHparams(Hparams):
    """Hyperparameters of the data."""

    dataset_name: str
    """The data set: digits, mnist, fashion_mnist, cifar10, cifar100, or folder (any image
    folder)."""

    batch_size: int
    """How many training examples make a batch. The last batch of an epoch may be smaller."""

    do_not_augment: bool = False
    """Leave the training images as they are, whatever the data set's own augmentation is and
    whatever the other flags say."""

    transformation_seed: int | None = None
    """The seed of the validation split, the subsample, the random labels and the rotation task.
    By default it follows the replicate."""

    subsample_fraction: float | None = None
    """Train on this fraction of the training examples, chosen at random."""

    random_labels_fraction: float | None = None
    """Give this fraction of the training examples labels drawn at random."""

    unsupervised_labels: str | None = None
    """Replace the labels by those of a task without supervision. 'rotation': every image is turned
    by 0, 1, 2 or 3 quarter turns, and the network says by how many."""

    blur_factor: int | None = None
    """Blur the training images: make them smaller by this factor, and as large as before again."""

    validation_fraction: float = 0.0
    """Hold this fraction of the training examples of each class out for validation."""

    augment_crop: int | None = None
    """Augmentation: pad images by so many pixels, and crop them at random to their size. 0: do
    not. By default as the data set has it."""

    augment_crop_mode: str | None = None
    """Augmentation: what the padding of a crop, and the corners of a rotated image, hold: 'zero'
    (black) or 'reflect'. By default as the data set has it."""

    augment_flip: bool | None = None
    """Augmentation: mirror images at random. By default as the data set has it."""

    augment_rotation: float | None = None
    """Augmentation: rotate images at random by up to so many degrees to either side. 0: do not. By
    default as the data set has it."""

    image_size: int | None = None
    """For an image folder: resize the shorter side of each image to so many pixels, and cut out
    the center square. Needed where images differ in size."""

    folder: str | None = not_hashed(None)
    """For an image folder: where it is. It holds train/<class>/ and test/<class>/. The path is not
    part of what a run is; the checksum of the content is."""

    folder_digest: str | None = None
    """For an image folder: the checksum of its content, filled in when the folder is first
    read."""

    def check(self) -> None:
        """Refuse values that make no sense."""
        dataset = DATASETS[self.dataset_name]
        self._check_numbers()
        self.require(
            self.unsupervised_labels in (None, *UNSUPERVISED),
            "unsupervised_labels",
            "it is 'rotation' or left out",
        )
        self.require(
            self.augment_crop_mode in (None, *CROP_MODES),
            "augment_crop_mode",
            "it is 'zero' or 'reflect'",
        )
        if dataset.by_path:
            self._check_folder()
        else:
            self._check_no_folder()
        if dataset.shape is not None:
            self.augmented(dataset.augmentation).check_fits(dataset.shape)

    def versions(self) -> Mapping[str, Version]:
        """The version of the data set."""
        return {f"dataset:{self.dataset_name}": DATASETS.version(self.dataset_name)}

    def augmented(self, default: Augmentation) -> Augmentation:
        """The augmentation: ``default``, as far as no flag says otherwise."""
        if self.do_not_augment:
            return Augmentation()
        mode, flip, angle = self.augment_crop_mode, self.augment_flip, self.augment_rotation
        return Augmentation(
            crop=default.crop if self.augment_crop is None else self.augment_crop,
            crop_mode=default.crop_mode if mode is None else mode,
            flip=default.flip if flip is None else flip,
            rotation=default.rotation if angle is None else angle,
        )

    def _check_numbers(self) -> None:
        self.require_seed("transformation_seed")
        whole = {"batch_size": 1, "blur_factor": 1, "augment_crop": 0, "image_size": 1}
        for name, least in whole.items():
            value = getattr(self, name)
            self.require(value is None or value >= least, name, f"it is {least} or more")
        self.require(
            0 <= self.validation_fraction < 1, "validation_fraction", "it is from 0 to less than 1"
        )
        part = self.subsample_fraction
        self.require(
            part is None or 0 < part <= 1, "subsample_fraction", "it is more than 0 and at most 1"
        )
        for name, most in (("random_labels_fraction", 1), ("augment_rotation", 180)):
            value = getattr(self, name)
            self.require(value is None or 0 <= value <= most, name, f"it is from 0 to {most}")

    def _check_folder(self) -> None:
        if self.folder_digest is None:
            self.require(
                self.folder is not None,
                "folder",
                f"dataset_name={self.dataset_name} needs --folder=PATH, a folder with "
                "train/<class>/ and test/<class>/",
            )
        else:
            ok = _DIGEST.fullmatch(self.folder_digest) is not None
            self.require(ok, "folder_digest", "it is a sha256, 64 hex digits; leave it out")

    def _check_no_folder(self) -> None:
        for name in ("folder", "folder_digest", "image_size"):
            self.require(
                getattr(self, name) is None,
                name,
                f"it is for image folders (dataset_name=folder), not for {self.dataset_name}",
            )
