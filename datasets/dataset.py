"""What describes a data set: its shape, its defaults, where its files lie, who reads them.

Nothing here needs torch, so that all data sets can be listed at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datasets.data import Content

OWN_FOLDER = ".open_prune"
"""What lies in this folder of the data root is ours, and can be deleted."""

CROP_MODES = ("zero", "reflect")


@dataclass(frozen=True, kw_only=True)
class ResizedCrop:
    """A part of an image, drawn at random and resized (Inception; torchvision's RandomResizedCrop).

    Args:
        area: The least and the largest fraction of the image that it covers; uniform.
        ratio: The least and the largest ratio of its width to its height; uniform in logarithm.
    """

    area: tuple[float, float]
    ratio: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of training images: mirrored, then cropped, then rotated, then stretched.

    Args:
        resized_crop: Where images come in all sizes, a part of each, resized, that is taken before
            all else instead of its center; None is off.
        crop: Pixels of padding on each side, of which as many are cut off again; 0 is off.
        crop_mode: What the padding holds: ``"zero"`` (black) or ``"reflect"`` (the image again,
            its border pixels not repeated). A rotation fills its corners alike.
        flip: Mirror every other image, left to right.
        rotation: The largest angle of a rotation, in degrees, to either side; 0 is off.
        rotation_labels: Pairs of a label and another largest angle for its images.
        stretch: Width and height are each multiplied by a factor from 1 - stretch to 1 + stretch,
            uniform, and the center is cut out at the old size; 0 is off.
    """

    resized_crop: ResizedCrop | None = None
    crop: int = 0
    crop_mode: str = "zero"
    flip: bool = False
    rotation: float = 0.0
    rotation_labels: tuple[tuple[int, float], ...] = ()
    stretch: float = 0.0

    @property
    def off(self) -> bool:
        """Whether every image stays as it is."""
        return not (self.resized_crop or self.crop or self.flip or self.bends)

    @property
    def bends(self) -> bool:
        """Whether pixels are interpolated, rather than moved."""
        return bool(
            self.rotation or self.stretch or any(angle for _, angle in self.rotation_labels)
        )

    def check_labels(self, classes: int) -> None:
        """Refuse an angle for a label that is none of the classes.

        Raises:
            UserError: Names the label.
        """
        for label, _ in self.rotation_labels:
            if label >= classes:
                raise UserError(
                    f"augment_rotation_labels names the label {label}, which is not allowed: "
                    f"there are {classes} classes, and labels begin with 0."
                )

    def check_fits(self, shape: tuple[int, int, int]) -> None:
        """Refuse a reflected padding that is not smaller than the image.

        Raises:
            UserError: It is not.
        """
        if self.crop_mode == "reflect" and self.crop >= min(shape[1:]):
            raise UserError(
                f"augment_crop={self.crop} is not allowed: with augment_crop_mode='reflect' it "
                f"must be less than the height and width of an image, {shape[1]}x{shape[2]}."
            )


@dataclass(frozen=True, kw_only=True)
class Source:
    """A form in which the files of a data set may lie under the data root.

    Args:
        folder: Where, relative to the data root.
        needs: The files or folders that must be there; each may also end in ``.gz`` if ``gz``.
        read: The place of the function that reads them, as ``"module:attribute"``. It takes the
            folder and a number of workers and returns a ``Content``. None where images stay in
            their files.
        gz: Whether the files may be compressed.
    """

    folder: str
    needs: tuple[str, ...]
    read: str = ""
    gz: bool = False

    def missing(self, root: Path) -> list[str]:
        """What of ``needs`` is not there."""
        ends = ("", ".gz") if self.gz else ("",)
        place = root / self.folder
        return [
            name for name in self.needs if not any((place / (name + end)).exists() for end in ends)
        ]

    def reader(self) -> Callable[[Path, int], Content]:
        """The function that reads the files."""
        return cast("Callable[[Path, int], Content]", attribute(self.read))


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How images that stay in their files are brought to one size, where they are not augmented.

    Args:
        resize: Pixels to which the shorter side is resized; bilinear.
        crop: Height and width of the square that is then cut out of the center.
    """

    resize: int
    crop: int


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set, as far as it can be known without its files.

    Args:
        name: Its name.
        summary: What it is, in a few words.
        get: How to come by its files.
        augmentation: What training images go through unless told otherwise.
        classes: How many there are; None where the files decide.
        shape: Channels, height and width; None where the files decide.
        mean: Of each channel, of pixels from 0 to 1; None: computed from the training images.
        std: The standard deviation likewise.
        statistics: Where ``mean`` and ``std`` come from.
        examples: How many for training and for testing.
        sources: The forms in which its files may lie; none where the user gives a path.
        package: The Python package that brings it along, if one does.
        torchvision: The class of ``torchvision.datasets`` that can download it.
        url: What that class downloads first.
        digest: The sha256 of its tensors in canonical order, where it is known.
        framing: For one too large for memory, whose images stay in their files and are decoded
            whenever they are needed. ``examples`` and ``classes`` are then those of all of it.
    """

    name: str
    summary: str
    get: str
    augmentation: Augmentation = Augmentation()
    classes: int | None = None
    shape: tuple[int, int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    statistics: str = "computed from the training images"
    examples: tuple[int, int] | None = None
    sources: tuple[Source, ...] = ()
    package: str | None = None
    torchvision: str | None = None
    url: str | None = None
    digest: str | None = None
    framing: Framing | None = None

    @property
    def by_path(self) -> bool:
        """Whether the user says where it lies (``--folder``)."""
        return not self.sources

    def found(self, root: Path) -> Source | None:
        """The first source of which nothing is missing."""
        if self.package is not None and find_spec(self.package) is None:
            return None
        return next((source for source in self.sources if not source.missing(root)), None)

    def looked(self, root: Path) -> tuple[Path, ...]:
        """Where its files are looked for."""
        return () if self.package else tuple(root / source.folder for source in self.sources)


def cache_path(root: Path, name: str) -> Path:
    """Where a data set that has been read is kept."""
    return root / OWN_FOLDER / f"{name}.safetensors"


def attribute(place: str) -> Any:  # noqa: ANN401 - whatever is there
    """What ``"module:attribute"`` names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
