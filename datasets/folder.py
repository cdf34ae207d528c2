"""Any folder of images, with train/<class>/ and test/<class>/, as a data set."""

from datasets.dataset import Dataset

FOLDER = Dataset(
    name="folder",
    summary="any folder of images, gray or color; its subfolders are the classes",
    get="Give its path: --dataset_name=folder --folder=PATH, where PATH holds train/<class>/ and "
    "test/<class>/; and --image_size=N where the images differ in size.",
)
