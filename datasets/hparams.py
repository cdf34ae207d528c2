"""Which data a run uses, and what is done to it before and while it is trained on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasets import DATASETS
from datasets.dataset import CROP_MODES, Augmentation
from datasets.normalizations import NORMALIZATIONS, OWN, named
from foundations.hparams import Hparams, not_hashed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datasets.dataset import Dataset
    from foundations.registry import Version

UNSUPERVISED = ("rotation",)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PAIR = r"\s*\d+\s*=\s*(\d+\.?\d*|\.\d+)\s*"
_PAIRS = re.compile(f"{_PAIR}(,{_PAIR})*")


@dataclass(frozen=True, kw_only=True)
class DatasetHparams(Hparams):
    """Hyperparameters of the data."""

    dataset_name: str
    """The data set: digits, mnist, fashion_mnist, cifar10, cifar100, tinyimagenet, tinyimagenet2
    (the same images, augmented as CIFAR's are), imagenet, or folder (any image folder)."""

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

    augment_rotation_labels: str | None = None
    """Augmentation: another largest angle of rotation for the images of some labels, as
    '1=7.5,7=7.5'. All others have augment_rotation."""

    augment_stretch: float | None = None
    """Augmentation: multiply width and height, each at random, by 1 minus to 1 plus this, and cut
    the center out at the old size. 0: do not. By default as the data set has it."""

    normalize: str = OWN
    """What pixels (from 0 to 1) are normalized by: 'own' (mean and standard deviation that the data
    set has), 'half' (both 0.5), those commonly used for 'cifar', 'cifar100' or 'imagenet', those of
    all pixels of 'cifar10', or the same as 'wide_resnet' codes round them."""

    image_size: int | None = None
    """For an image folder: resize the shorter side of each image to so many pixels, and cut out
    the center square. Needed where images differ in size."""

    folder: str | None = not_hashed(None)
    """For an image folder: where it is. It holds train/<class>/ and test/<class>/. The path is not
    part of what a run is; the checksum of the content is. For imagenet and tinyimagenet: where it
    is, if not in the data root; what is not all of it is then a data set of its own."""

    folder_digest: str | None = None
    """For an image folder: the checksum of its content, filled in when the folder is first
    read. For a part of imagenet or tinyimagenet: that of the names and sizes of its files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.augment_rotation_labels is not None:  # one spelling, so that it has one name
            text = ",".join(f"{label}={angle:.12g}" for label, angle in self._rotation_labels())
            object.__setattr__(self, "augment_rotation_labels", text)

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
        self.require(
            self.normalize in (OWN, *NORMALIZATIONS),
            "normalize",
            f"it is one of {', '.join((OWN, *NORMALIZATIONS))}",
        )
        self._check_rotation_labels()
        if dataset.by_path:
            self._check_folder()
        else:
            self._check_no_folder(dataset)
        if dataset.framing is not None:
            self._check_streamed()
        self._check_images(dataset)

    def versions(self) -> Mapping[str, Version]:
        """The version of the data set."""
        return {f"dataset:{self.dataset_name}": DATASETS.version(self.dataset_name)}

    def augmented(self, default: Augmentation) -> Augmentation:
        """The augmentation: ``default``, as far as no flag says otherwise."""
        if self.do_not_augment:
            return Augmentation()
        mode, flip, angle = self.augment_crop_mode, self.augment_flip, self.augment_rotation
        labels, stretch = self.augment_rotation_labels, self.augment_stretch
        return Augmentation(
            resized_crop=default.resized_crop,
            crop=default.crop if self.augment_crop is None else self.augment_crop,
            crop_mode=default.crop_mode if mode is None else mode,
            flip=default.flip if flip is None else flip,
            rotation=default.rotation if angle is None else angle,
            rotation_labels=default.rotation_labels if labels is None else self._rotation_labels(),
            stretch=default.stretch if stretch is None else stretch,
        )

    def _rotation_labels(self) -> tuple[tuple[int, float], ...]:
        """The pairs of label and angle that ``augment_rotation_labels`` spells, by label."""
        pairs = [part.partition("=") for part in (self.augment_rotation_labels or "").split(",")]
        return tuple(sorted((int(label), float(angle)) for label, _, angle in pairs))

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
        factor = self.augment_stretch
        self.require(
            factor is None or 0 <= factor < 1, "augment_stretch", "it is from 0 to less than 1"
        )

    def _check_rotation_labels(self) -> None:
        if self.augment_rotation_labels is None:
            return
        ok = _PAIRS.fullmatch(self.augment_rotation_labels) is not None
        pairs = self._rotation_labels() if ok else ()
        ok = ok and all(angle <= 180 for _, angle in pairs) and len(dict(pairs)) == len(pairs)
        self.require(
            ok,
            "augment_rotation_labels",
            "it is a list of labels, each with its largest angle from 0 to 180, as '1=7.5,7=7.5'",
        )
        self.require(
            self.unsupervised_labels is None,
            "augment_rotation_labels",
            "with unsupervised_labels the labels are not those of the images",
        )

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

    def _check_no_folder(self, dataset: Dataset) -> None:
        streamed = dataset.framing is not None
        for name in ("image_size",) if streamed else ("folder", "folder_digest", "image_size"):
            self.require(
                getattr(self, name) is None,
                name,
                f"it is for image folders (dataset_name=folder), not for {self.dataset_name}",
            )
        if streamed and self.folder_digest is not None:
            self._check_folder()

    def _check_streamed(self) -> None:
        for name in ("blur_factor", "unsupervised_labels"):
            self.require(
                getattr(self, name) is None,
                name,
                f"it is for data sets that are held in memory; the images of {self.dataset_name} "
                "stay in their files",
            )

    def _check_images(self, dataset: Dataset) -> None:
        """Refuse what the images of the data set, as far as they are known, have no room for."""
        if dataset.shape is None:
            return
        augmentation = self.augmented(dataset.augmentation)
        augmentation.check_fits(dataset.shape)
        if dataset.classes is not None:
            augmentation.check_labels(dataset.classes)
        if self.normalize != OWN:
            named(self.normalize, dataset.shape[0])
