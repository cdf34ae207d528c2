"""Small data sets, and where the real ones are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.data import Data
from datasets.dataset import Augmentation
from tests.datasets.samples import random_content

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data() -> Data:
    """A small data set in color."""
    content = random_content((3, 6, 8))
    return Data(
        name="small",
        classes=3,
        shape=(3, 6, 8),
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.25, 0.3),
        augmentation=Augmentation(crop=2, flip=True),
        train=content.train,
        validation=None,
        test=content.test,
    )


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder of 2 classes, with 5 training and 3 test images each, in color, 7x9."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 5), ("test", 3)):
        for label in ("ant", "bee"):
            folder = tmp_path / "images" / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "images"


@pytest.fixture
def real_data(tmp_path: Path) -> Path:
    """A folder with ``mnist`` and, where it was unpacked, ``cifar10``; not to be written to."""
    named = os.environ.get("OPEN_PRUNE_TEST_DATA")
    root = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not root.is_dir():
        pytest.skip(f"no real data: {root} is not there (set OPEN_PRUNE_TEST_DATA)")
    return root


@pytest.fixture
def mnist_root(real_data: Path, tmp_path: Path) -> Path:
    """A data root with the real MNIST in it, free to be written to."""
    target = tmp_path / "MNIST" / "raw"
    for folder in (real_data / "mnist", real_data / "MNIST" / "raw"):
        if folder.is_dir():
            shutil.copytree(folder, target)
            return tmp_path
    pytest.skip(f"no real MNIST under {real_data}")
