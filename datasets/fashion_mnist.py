"""Fashion-MNIST: 70,000 pictures of articles of clothing (Xiao, Rasul and Vollgraf 2017)."""

from datasets.dataset import Dataset
from datasets.idx_files import idx_sources

FASHION_MNIST = Dataset(
    name="fashion_mnist",
    summary="70,000 articles of clothing, 28x28, gray, 10 classes",
    classes=10,
    shape=(1, 28, 28),
    mean=(0.2860,),
    std=(0.3530,),
    statistics="of the training images, as they are commonly given",
    examples=(60_000, 10_000),
    sources=idx_sources("FashionMNIST", "fashionmnist", "fashion_mnist"),
    torchvision="FashionMNIST",
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-labels-idx1-ubyte.gz",
    get="Downloaded when first used. Without a network: put the four original IDX files, "
    "compressed or not, into FashionMNIST/raw under the data root.",
)
