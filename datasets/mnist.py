"""MNIST: 70,000 hand-written digits (LeCun, Bottou, Bengio and Haffner 1998)."""

from datasets.dataset import Dataset
from datasets.idx_files import idx_sources

MNIST = Dataset(
    name="mnist",
    summary="70,000 hand-written digits, 28x28, gray, 10 classes",
    classes=10,
    shape=(1, 28, 28),
    mean=(0.1307,),
    std=(0.3081,),
    statistics="of the training images, as OpenLTH and PyTorch's example have them",
    examples=(60_000, 10_000),
    sources=idx_sources("MNIST", "mnist"),
    torchvision="MNIST",
    url="https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
    get="Downloaded when first used. Without a network: put the four original IDX files, "
    "compressed or not, into MNIST/raw under the data root.",
    digest="4e76ab305a22b8b4472a3c0223d776be5372dd17e619e35e9a4b82831933dba2",
)
