"""ImageNet: 1.3 million photographs of 1,000 kinds (Russakovsky et al. 2015, ILSVRC 2012)."""

from datasets.dataset import Augmentation, Dataset, Framing, ResizedCrop, Source

IMAGENET = Dataset(
    name="imagenet",
    summary="1,331,167 photographs, seen at 224x224, color, 1,000 classes; read as they are needed",
    classes=1000,
    shape=(3, 224, 224),
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    statistics="as they are commonly given",
    augmentation=Augmentation(
        resized_crop=ResizedCrop(area=(0.1, 1.0), ratio=(0.8, 1.25)), flip=True
    ),
    examples=(1_281_167, 50_000),
    sources=tuple(
        Source(folder=folder, needs=("train", "val")) for folder in ("imagenet", "ILSVRC2012")
    ),
    get="Ask for ILSVRC 2012 at image-net.org. Unpack it as imagenet/train/<wnid>/*.JPEG and "
    "imagenet/val/<wnid>/*.JPEG under the data root, or link imagenet there, or give its place "
    "with --folder=PATH.",
    framing=Framing(resize=256, crop=224),
)
