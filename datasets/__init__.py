"""Data sets as tensors, their transforms, the loader; and which data sets there are.

A data set is one file that describes it, without torch, and one line here.
"""

from datasets.dataset import Dataset
from foundations.registry import Registry

DATASETS: Registry[Dataset] = Registry(
    "data set",
    {
        "digits": "datasets.digits:DIGITS",
        "mnist": "datasets.mnist:MNIST",
        "fashion_mnist": "datasets.fashion_mnist:FASHION_MNIST",
        "cifar10": "datasets.cifar10:CIFAR10",
        "cifar100": "datasets.cifar100:CIFAR100",
        "tinyimagenet": "datasets.tinyimagenet:TINYIMAGENET",
        "tinyimagenet2": "datasets.tinyimagenet:TINYIMAGENET2",
        "imagenet": "datasets.imagenet:IMAGENET",
        "folder": "datasets.folder:FOLDER",
    },
)
