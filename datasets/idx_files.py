"""Which files MNIST and its relatives consist of, and where they may lie."""

from datasets.dataset import Source

IMAGES = "{split}-images-idx3-ubyte"
LABELS = "{split}-labels-idx1-ubyte"
SPLITS = ("train", "t10k")
FILES = tuple(name.format(split=split) for split in SPLITS for name in (IMAGES, LABELS))


def idx_sources(*names: str) -> tuple[Source, ...]:
    """``NAME/raw``, as torchvision has it, and ``NAME`` itself, for each of the names."""
    folders = (folder for name in names for folder in (f"{name}/raw", name))
    return tuple(
        Source(folder=folder, needs=FILES, read="datasets.idx:read", gz=True) for folder in folders
    )
