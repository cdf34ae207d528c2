"""CIFAR-100: 60,000 small color photographs of 100 kinds (Krizhevsky 2009)."""

from datasets.dataset import Augmentation, Dataset, Source

CIFAR100 = Dataset(
    name="cifar100",
    summary="60,000 photographs, 32x32, color, 100 classes",
    classes=100,
    shape=(3, 32, 32),
    mean=(0.5071, 0.4867, 0.4408),
    std=(0.2675, 0.2565, 0.2761),
    statistics="of the training images, as they are commonly given",
    augmentation=Augmentation(crop=4, flip=True),
    examples=(50_000, 10_000),
    sources=(
        Source(
            folder="cifar-100-python",
            needs=("train", "test", "meta"),
            read="datasets.cifar:read_cifar100",
        ),
    ),
    torchvision="CIFAR100",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    get="Downloaded when first used. Without a network: unpack cifar-100-python.tar.gz under the "
    "data root, which makes cifar-100-python.",
)
