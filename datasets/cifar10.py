"""CIFAR-10: 60,000 small color photographs of 10 kinds (Krizhevsky 2009)."""

from datasets.dataset import Augmentation, Dataset, Source

BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")

CIFAR10 = Dataset(
    name="cifar10",
    summary="60,000 photographs, 32x32, color, 10 classes",
    classes=10,
    shape=(3, 32, 32),
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    statistics="of ImageNet, as OpenLTH has them",
    augmentation=Augmentation(crop=4, flip=True),
    examples=(50_000, 10_000),
    sources=(
        Source(folder="cifar-10-batches-py", needs=BATCHES, read="datasets.cifar:read_cifar10"),
        Source(folder="cifar10", needs=("train", "test"), read="datasets.images:read_tree"),
    ),
    torchvision="CIFAR10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    get="Downloaded when first used. Without a network: unpack cifar-10-python.tar.gz under the "
    "data root, which makes cifar-10-batches-py; or put lossless PNG files into "
    "cifar10/train/<class>/ and cifar10/test/<class>/.",
    digest="8972dc9e7117d5aa836887b91fc1b03c1e8882b56543af92f5196e531262394f",
)
