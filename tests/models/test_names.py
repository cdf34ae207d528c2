"""Names of networks and their presets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from foundations.errors import UserError
from foundations.steps import Step, parse_steps
from models import MODELS, families, find
from models.family import Family
from models.hparams import ModelHparams
from models.presets import preset, preset_examples, preset_forms


@pytest.mark.parametrize(
    ("name", "family", "arguments"),
    [
        ("cifar_resnet_20", "cifar_resnet", {"depth": "20"}),
        ("cifar_resnet_1202", "cifar_resnet", {"depth": "1202"}),
        ("cifar_resnet_20_64", "cifar_resnet", {"depth": "20", "width": "64"}),
        ("cifar_vgg_19", "cifar_vgg", {"depth": "19"}),
        ("mnist_lenet_300_100", "mnist_lenet", {"widths": "300_100"}),
        ("mnist_lenet_5", "mnist_lenet", {"widths": "5"}),
        ("digits_lenet", "digits_lenet", {}),
        ("digits_lenet_7_8_9", "digits_lenet", {"widths": "7_8_9"}),
    ],
)
def test_a_name_is_read(name: str, family: str, arguments: dict[str, str]) -> None:
    """A name tells its family and its parts."""
    found = find(name)
    assert (found.family.name, found.arguments) == (family, arguments)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cifar_resent_20", "cifar_resnet_20"),
        ("cifar_resent_44", "cifar_resnet_44"),
        ("cifar-resnet-20", "cifar_resnet_20"),
        ("cifar_resnet_21", "cifar_resnet_20"),
        ("cifar_resnet_2", "cifar_resnet_8"),
        ("cifar_resnet_020", "cifar_resnet_20"),
        ("cifar_resnet_20_0", "cifar_resnet_20"),
        ("cifar_resnet", "cifar_resnet_20"),
        ("cifar_vgg_17", "cifar_vgg_16"),
        ("resnet20", "cifar_resnet_20"),
        ("vgg_16", "cifar_vgg_16"),
        ("mnist_lenet", "mnist_lenet_300_100"),
        ("lenet_300_100", "mnist_lenet_300_100"),
        ("digit_lenet", "digits_lenet"),
    ],
)
def test_a_wrong_name_gets_the_nearest_suggested(name: str, meant: str) -> None:
    """A mistyped name, or one with numbers that do not exist, is answered with one that does."""
    with pytest.raises(UserError, match=f"no model '{name}'. Did you mean '{meant}'"):
        find(name)


def test_the_error_says_which_depths_there_are() -> None:
    """Where the family is clear, its rule is given, and no other family's."""
    with pytest.raises(UserError, match=r"6D\+2 \(8, 14, 20, ") as caught:
        find("cifar_resnet_21")
    assert "vgg" not in str(caught.value)


def test_a_name_like_no_other_gets_the_forms_of_all() -> None:
    """Where nothing is near, every form is listed and nothing suggested."""
    with pytest.raises(UserError) as caught:
        find("zzz")
    assert all(family.form in str(caught.value) for family in families())
    assert "Did you mean" not in str(caught.value)


def test_every_example_is_a_name() -> None:
    """What help texts show can be asked for, and has a preset of its own name."""
    for family in families():
        assert all(find(name).family is family for name in family.examples)
    assert all(preset(name)["model_name"] == name for name in preset_examples())
    assert "cifar_resnet_N[_W]" in preset_forms()


@pytest.mark.parametrize("name", ["cifar_resnet_56", "cifar_vgg_13"])
def test_the_cifar_preset(name: str) -> None:
    """The recipe of OpenLTH."""
    assert preset(name) == {
        "dataset_name": "cifar10",
        "batch_size": 128,
        "model_name": name,
        "model_init": "kaiming_normal",
        "batchnorm_init": "uniform",
        "optimizer_name": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "milestone_steps": "80ep,120ep",
        "gamma": 0.1,
        "weight_decay": 1e-4,
        "training_steps": "160ep",
    }


def test_the_mnist_preset() -> None:
    """The recipe of OpenLTH: no momentum, no milestones, no decay."""
    assert preset("mnist_lenet_300_100") == {
        "dataset_name": "mnist",
        "batch_size": 128,
        "model_name": "mnist_lenet_300_100",
        "model_init": "kaiming_normal",
        "batchnorm_init": "uniform",
        "optimizer_name": "sgd",
        "lr": 0.1,
        "training_steps": "40ep",
    }


def test_presets_hold_valid_values() -> None:
    """Steps can be read, and the flags of the network make one."""
    for flags in map(preset, preset_examples()):
        assert Step.parse(str(flags["training_steps"])) != Step()
        parse_steps(str(flags.get("milestone_steps", "")))
        ModelHparams(
            model_name=str(flags["model_name"]),
            model_init=str(flags["model_init"]),
            batchnorm_init=str(flags["batchnorm_init"]),
        )


def test_changing_a_preset_changes_no_other() -> None:
    """What is returned is the caller's own."""
    preset("cifar_vgg_16")["lr"] = 7.0
    assert preset("cifar_vgg_16")["lr"] == 0.1


def test_an_unknown_preset_is_refused_as_one() -> None:
    """The message speaks of a preset and suggests the nearest."""
    with pytest.raises(UserError, match=r"no preset 'digits_lent'. Did you mean 'digits_lenet'"):
        preset("digits_lent")


def test_a_family_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry makes its names known; without a preset it has none, and says so."""
    family = Family(
        name="my_net",
        form="my_net_K",
        rule="K is a or b",
        examples=("my_net_a",),
        pattern="my_net_(?P<kind>[ab])",
        builder="nowhere:build",
    )
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    monkeypatch.setattr(MODELS, "_versions", dict(MODELS._versions))
    MODELS.add("my_net", family, version=3)
    assert find("my_net_b").arguments == {"kind": "b"}
    hparams = ModelHparams(model_name="my_net_b", model_init="binary", batchnorm_init="fixed")
    assert hparams.versions()["model:my_net"] == 3
    with pytest.raises(UserError, match="family 'my_net' has none"):
        preset("my_net_b")


def test_names_need_no_torch() -> None:
    """Help texts answer before torch could be imported."""
    code = (
        "import sys, models, models.presets, models.hparams, models.initializers\n"
        "models.presets.preset('cifar_resnet_20')\n"
        "models.hparams.ModelHparams(model_name='cifar_vgg_11', model_init='binary', "
        "batchnorm_init='fixed').canonical()\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
