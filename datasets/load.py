"""The one way from hyperparameters to a data set in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from datasets import DATASETS
from datasets.data import Data
from datasets.folders import folder_content
from datasets.normalize import statistics
from datasets.obtain import obtain
from datasets.transforms import transformed

if TYPE_CHECKING:
    from pathlib import Path

    from datasets.hparams import DatasetHparams


def load(
    hparams: DatasetHparams, *, seed: int, root: Path, workers: int = 0, download: bool = True
) -> Data:
    """The data of a run, on the CPU, its transforms and its validation split applied.

    Args:
        hparams: Which data, and what to do to it. An image folder must be pinned.
        seed: The seed of the transforms, unless ``transformation_seed`` gives one.
        root: Where data sets are looked for, downloaded to and cached.
        workers: Threads that decode image files.
        download: Whether to try the network if files are missing.

    Raises:
        UserError: Files are missing, or what is asked for does not fit the data.
        DamageError: Files are not what they should be.
    """
    dataset = DATASETS[hparams.dataset_name]
    if dataset.by_path:
        content = folder_content(hparams, root, workers)
    else:
        content = obtain(dataset, root, workers=workers, download=download)
    shape = cast("tuple[int, int, int]", tuple(content.train.images.shape[1:]))
    augmentation = hparams.augmented(dataset.augmentation)
    augmentation.check_fits(shape)
    if dataset.mean is None or dataset.std is None:
        mean, std = statistics(content.train.images)
    else:
        mean, std = dataset.mean, dataset.std
    classes = dataset.classes or int(content.train.labels.max()) + 1
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
