"""The one way from hyperparameters to a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from datasets import DATASETS
from datasets.data import Data
from datasets.folders import folder_content
from datasets.normalizations import OWN, named
from datasets.normalize import statistics
from datasets.obtain import obtain
from datasets.streamed import streamed_content
from datasets.transforms import transformed

if TYPE_CHECKING:
    from pathlib import Path

    from datasets.data import Content
    from datasets.dataset import Dataset
    from datasets.hparams import DatasetHparams


def load(
    hparams: DatasetHparams, *, seed: int, root: Path, workers: int = 0, download: bool = True
) -> Data:
    """The data of a run, on the CPU, its transforms and its validation split applied.

    What does not fit in memory stays in its files, which batches are read from.

    Args:
        hparams: Which data, and what to do to it. An image folder must be pinned.
        seed: The seed of the transforms, unless ``transformation_seed`` gives one.
        root: Where data sets are looked for, downloaded to and cached.
        workers: Threads that decode image files; processes, where they are decoded anew for every
            batch.
        download: Whether to try the network if files are missing.

    Raises:
        UserError: Files are missing, or what is asked for does not fit the data.
        DamageError: Files are not what they should be.
    """
    dataset = DATASETS[hparams.dataset_name]
    if dataset.framing is not None:
        content = streamed_content(dataset, hparams, root, workers)
    elif dataset.by_path:
        content = folder_content(hparams, root, workers)
    else:
        content = obtain(dataset, root, workers=workers, download=download)
    shape = cast("tuple[int, int, int]", tuple(content.train.images.shape[1:]))
    augmentation = hparams.augmented(dataset.augmentation)
    augmentation.check_fits(shape)
    mean, std = _normalization(dataset, hparams, content)
    whole = hparams.folder_digest is None
    classes = (whole and dataset.classes) or int(content.train.labels.max()) + 1
    augmentation.check_labels(classes)
    train, validation, test, classes = transformed(content, hparams, classes, seed)
    return Data(
        name=dataset.name,
        classes=classes,
        shape=shape,
        mean=mean,
        std=std,
        augmentation=augmentation,
        train=train,
        validation=validation,
        test=test,
    )


def _normalization(
    dataset: Dataset, hparams: DatasetHparams, content: Content
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel."""
    images = content.train.images
    if hparams.normalize != OWN:
        return named(hparams.normalize, images.shape[1])
    if dataset.mean is None or dataset.std is None:
        return statistics(images)
    return dataset.mean, dataset.std
