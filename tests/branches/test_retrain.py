"""The ``retrain`` branch: other hyperparameters, other data, and a new output layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

from branches.opened import Run
from branches.retrain import Retrain
from foundations.description import BranchDesc
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.store import Store
from tests.branches.runs import PER_EPOCH, STEPS, dense, pruned, run

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description


def _retrain(parent: Description | None = None, **flags: Any) -> BranchDesc:
    return BranchDesc(parent=parent or pruned(), branch=Retrain(**flags))


def _opened(root: Path, description: Description) -> Run:
    return Run(run(root, description), root.parent / "data")


def _folder(root: Path, classes: int, size: int = 8) -> Path:
    """An image folder of gray pictures, six of each class."""
    for split in ("train", "test"):
        for label in range(classes):
            place = root / "images" / split / str(label)
            place.mkdir(parents=True)
            for number in range(6):
                shade = 20 * number + label
                Image.new("L", (size, size), shade).save(place / f"{number}.png")
    return root / "images"


def _on_folder(root: Path, classes: int, size: int = 8) -> Retrain:
    flags: dict[str, Any] = {
        "retrain_dataset_name": "folder",
        "retrain_folder": str(_folder(root, classes, size)),
        "retrain_batch_size": 8,
        "retrain_training_steps": "2ep",
    }
    return Retrain(**flags).pinned(root / "data")


def test_other_hyperparameters_of_training(tmp_path: Path) -> None:
    """The state that is trained is the parent's, the mask stays, and the end is another."""
    branch = _retrain(
        retrain_lr=0.01, retrain_training_steps="4it", state_step="5it", retrain_batch_size=256
    )
    found, parent = _opened(tmp_path / "a", branch), Store(tmp_path / "a").run(pruned(), 1)
    source = Run(parent, tmp_path / "data")
    first, at = found.weights("0ep"), source.weights("5it")
    assert all(torch.equal(first[name], value) for name, value in at.items())
    assert found.mask() == source.mask("0ep")
    assert found.recipe.training.lr == 0.01
    start = found.directory.fact(Fact.START)
    assert (start["end"], start["iterations_per_epoch"], start["facts"]) == (4, 6, {"new": []})


def test_the_same_recipe_from_a_step_on_is_the_parents_training(tmp_path: Path) -> None:
    """Without momentum, which is not kept, going on at ``start_step`` gives the parent's end."""
    branch = _retrain(state_step="5it", start_step="5it")
    found = _opened(tmp_path / "a", branch)
    source = Run(run(tmp_path / "a", pruned()), tmp_path / "data")
    end, expected = found.weights(), source.weights()
    assert all(torch.equal(end[name], value) for name, value in expected.items())
    assert [row.iteration for row in found.directory.digests()] == [5, 6, 9, STEPS]


def test_another_order_of_the_data_gives_another_end(tmp_path: Path) -> None:
    """From the same state, along the same schedule."""
    branches = [
        _retrain(state_step="3it", start_step="3it", retrain_data_order_seed=seed)
        for seed in (5, 6)
    ]
    one, two = (_opened(tmp_path / "a", branch) for branch in branches)
    assert PER_EPOCH == 3
    assert all(torch.equal(two.weights("1ep")[n], v) for n, v in one.weights("1ep").items())
    assert not torch.equal(one.weights()["fc.weight"], two.weights()["fc.weight"])


@pytest.mark.parametrize("classes", [3, 10])
def test_the_output_layer_is_replaced_where_the_classes_are_others(
    classes: int, tmp_path: Path
) -> None:
    """Everything of the new one is kept; all else is the parent's; so is it, if it fits."""
    branch = BranchDesc(parent=pruned(), branch=_on_folder(tmp_path, classes))
    found = _opened(tmp_path / "a", branch)
    source = Run(Store(tmp_path / "a").run(pruned(), 1), tmp_path / "data")
    new = {"fc.weight", "fc.bias"} if classes != 10 else set()
    first, end, mask = found.weights("0ep"), source.weights(), found.mask("0ep")
    assert first["fc.weight"].shape == (classes, 8)
    for name in end.keys() - new:
        assert torch.equal(first[name], end[name])
    assert mask["fc.weight"].all() == bool(new)
    for name in mask.keys() - new:
        assert torch.equal(mask[name], source.mask()[name])
        assert not mask[name].all()
    assert (first["fc.weight"][mask["fc.weight"]] != 0).all()
    assert found.directory.fact(Fact.START)["facts"] == {"new": sorted(new)}


def test_a_new_output_layer_follows_the_seed_of_the_initialization(tmp_path: Path) -> None:
    """Another replicate has another, and the same run always the same."""
    branch = BranchDesc(parent=dense(training_steps="1it"), branch=_on_folder(tmp_path, 3))
    heads = [
        Run(run(tmp_path / root, branch, replicate=replicate), tmp_path / "data").weights("0ep")
        for root, replicate in (("a", 1), ("b", 1), ("a", 2))
    ]
    assert torch.equal(heads[0]["fc.weight"], heads[1]["fc.weight"])
    assert not torch.equal(heads[0]["fc.weight"], heads[2]["fc.weight"])


def test_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """The message says what has which shape; nothing is begun."""
    branch = BranchDesc(parent=pruned(), branch=_on_folder(tmp_path, 3, size=5))
    with pytest.raises(
        UserError, match=r"\(1x5x5\) do not fit .* fc_layers\.0\.weight .* 8x64, .* 8x25"
    ):
        run(tmp_path / "a", branch)
    assert Store(tmp_path / "a").run(branch, 1).fact(Fact.START) is None


def test_the_content_of_a_folder_is_hashed_and_its_path_is_not(tmp_path: Path) -> None:
    """So the run is found again when the folder has moved."""
    first, second = (_on_folder(tmp_path / where, 2) for where in ("here", "there"))
    assert first.retrain_folder != second.retrain_folder  # type: ignore[attr-defined] # added by the decorator
    names = [BranchDesc(parent=dense(), branch=branch).name for branch in (first, second)]
    assert names[0] == names[1] != BranchDesc(parent=dense(), branch=Retrain()).name


def test_what_the_parent_has_can_be_taken_away() -> None:
    """By its name, where None would be what the parent has."""
    parent = dense(clip_gradient_norm=1.0, warmup_steps="1ep", subsample_fraction=0.5)
    without = ("clip_gradient_norm", "subsample_fraction")
    flags: dict[str, Any] = {"retrain_without": without}
    recipe = Retrain(**flags).recipe(parent)
    assert recipe.training.clip_gradient_norm is None
    assert recipe.dataset.subsample_fraction is None
    assert recipe.training.warmup_steps == parent.training.warmup_steps


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"retrain_without": ("lr",)}, r"retrain_without=.*lr.* is not allowed: of any of .*gamma"),
        ({"retrain_without": ("gamma",), "retrain_gamma": 0.1}, "--retrain_gamma is given"),
    ],
)
def test_what_must_be_there_cannot_be_taken_away(flags: dict[str, Any], message: str) -> None:
    """What has no default, and what is given beside it."""
    with pytest.raises(UserError, match=message):
        Retrain(**flags)


def test_a_folder_needs_the_name_of_its_data_set(tmp_path: Path) -> None:
    """Else it would be the folder of whatever the parent was trained on."""
    flags: dict[str, Any] = {"retrain_folder": "anywhere"}
    branch = Retrain(**flags)
    with pytest.raises(UserError, match="retrain_dataset_name=folder"):
        branch.pinned(tmp_path)
