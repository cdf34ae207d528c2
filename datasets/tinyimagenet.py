"""TinyImageNet: 110,000 small photographs of 200 of ImageNet's kinds (Le and Yang 2015).

OpenLTH's fork normalizes it by (-.021, -.0354, -.0376) and (1.21, 1.20, 1.25). These are the mean
and the deviation of pixels that ImageNet's constants have normalized already: (.4802 - .485) / .229
is -.021, and .277 / .229 is 1.21. The fork applies them to pixels from 0 to 1 all the same. So does
this data set, by default, to give the published numbers: what a network sees has means of 0.35 to
0.41 and deviations of 0.23. ``normalize=imagenet`` gives what is usual.
"""

from dataclasses import replace

from datasets.dataset import Augmentation, Dataset, Framing, ResizedCrop, Source

TINYIMAGENET = Dataset(
    name="tinyimagenet",
    summary="110,000 photographs, 64x64, color, 200 classes; read as they are needed",
    classes=200,
    shape=(3, 64, 64),
    mean=(-0.021, -0.0354, -0.0376),
    std=(1.21, 1.20, 1.25),
    statistics="as OpenLTH's fork has them: of pixels that were normalized before",
    augmentation=Augmentation(
        resized_crop=ResizedCrop(area=(0.1, 1.0), ratio=(0.8, 1.25)), flip=True
    ),
    examples=(100_000, 10_000),
    sources=tuple(
        Source(folder=folder, needs=("train", "val"))
        for folder in ("tiny-imagenet-200", "tinyimagenet")
    ),
    get="Unpack http://cs231n.stanford.edu/tiny-imagenet-200.zip under the data root, which makes "
    "tiny-imagenet-200, or give its place with --folder=PATH.",
    framing=Framing(resize=64, crop=64),
)

TINYIMAGENET2 = replace(
    TINYIMAGENET,
    name="tinyimagenet2",
    summary="the same as tinyimagenet, augmented as CIFAR's images are",
    augmentation=Augmentation(crop=4, flip=True),
)
