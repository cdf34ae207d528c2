"""Names of networks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from foundations.errors import UserError
from models import MODELS, families, find
from models.family import Family
from models.hparams import ModelHparams
from models.presets import preset, pruning_preset


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
        ("mnist_dbsn", "mnist_dbsn", {}),
        ("mnist_dbsn_9_7", "mnist_dbsn", {"widths": "9_7"}),
        ("granularity_resnet_20", "granularity_resnet", {"depth": "20"}),
        ("cifar_vgg_16_hidden", "cifar_vgg_hidden", {"depth": "16"}),
        ("cifar_resnet_20_a", "cifar_resnet_a", {"depth": "20"}),
        ("cifar_resnet_20_64_a", "cifar_resnet_a", {"depth": "20", "width": "64"}),
        ("cifar_resnet_20_a_detached", "cifar_resnet_a_detached", {"depth": "20"}),
        ("cifar_preresnet_110", "cifar_preresnet", {"depth": "110"}),
        ("cifar_preresnet_164", "cifar_preresnet", {"depth": "164"}),
        (
            "cifar_preresnet_29_bottleneck",
            "cifar_preresnet",
            {"depth": "29", "bottleneck": "bottleneck"},
        ),
        ("cifar_resnet_56_bottleneck", "cifar_resnet_bottleneck", {"depth": "56"}),
        ("cifar_resnet_8_4_bottleneck", "cifar_resnet_bottleneck", {"depth": "8", "width": "4"}),
        ("cifar_vgg_13_relu_bn", "cifar_vgg_relu_bn", {"depth": "13"}),
        ("cifar_vgg_13_8_relu_bn", "cifar_vgg_relu_bn", {"depth": "13", "width": "8"}),
        ("cifar_mobilenet", "cifar_mobilenet", {}),
        ("cifar_mobilenet_16", "cifar_mobilenet", {"width": "16"}),
        ("gradient_flow_resnet_56", "gradient_flow_resnet", {"depth": "56"}),
        ("cifar_imagenet_resnet_34", "cifar_imagenet_resnet", {"depth": "34"}),
        ("torchvision_resnet18", "torchvision", {"name": "resnet18"}),
        ("torchvision_regnet_y_1_6gf", "torchvision", {"name": "regnet_y_1_6gf"}),
        ("cifar_wide_resnet_40_2", "cifar_wide_resnet", {"depth": "40", "width": "2"}),
        (
            "cifar_wide_resnet_16_0.5_bottle_1.5",
            "cifar_wide_resnet",
            {"depth": "16", "width": "0.5", "bottle": "1.5"},
        ),
        (
            "cifar_wide_resnet_16_8_dropout",
            "cifar_wide_resnet_dropout",
            {"depth": "16", "width": "8"},
        ),
        ("cifar_densenet_40_12", "cifar_densenet", {"depth": "40", "growth": "12"}),
        (
            "cifar_densenet_40_12_transition_0.5",
            "cifar_densenet",
            {"depth": "40", "growth": "12", "transition": "0.5"},
        ),
        (
            "cifar_densenet_bc_40_12_transition_1_bottle_0.5",
            "cifar_densenet_bc",
            {
                "bottleneck": "bc",
                "depth": "40",
                "growth": "12",
                "transition": "1",
                "bottle": "0.5",
            },
        ),
        ("imagenet_resnet_50", "imagenet_resnet", {"depth": "50"}),
        ("imagenet_resnet_50_128", "imagenet_resnet", {"depth": "50", "width": "128"}),
        ("tinyimagenet_resnet_18", "tinyimagenet_resnet", {"depth": "18"}),
        ("tinyimagenet_modifiedresnet_18", "tinyimagenet_modifiedresnet", {"depth": "18"}),
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
        ("dbsn", "mnist_dbsn"),
        ("mnist_dbns_500", "mnist_dbsn_500"),
        ("granularity_resnet_21", "granularity_resnet_20"),
        ("cifar_vgg_17_hidden", "cifar_vgg_16_hidden"),
        ("cifar_vgg_hidden_16", "cifar_vgg_16_hidden"),
        ("cifar_vgg_16_hiden", "cifar_vgg_16_hidden"),
        ("cifar_resnet_20a", "cifar_resnet_20_a"),
        ("cifar_resnet_31_a", "cifar_resnet_32_a"),
        ("cifar_resnet_57_a_detached", "cifar_resnet_56_a_detached"),
        ("cifar_resnet_20_b", "cifar_resnet_20_a"),
        ("cifar_resnet_20_detached", "cifar_resnet_20_a_detached"),
        ("cifar_preresnet_111", "cifar_preresnet_110"),
        ("cifar_preresnet_165", "cifar_preresnet_164"),
        ("cifar_preresnet_164_bottleneck", "cifar_preresnet_110_bottleneck"),
        ("preresnet110", "cifar_preresnet_110"),
        ("cifar_resnet_57_bottleneck", "cifar_resnet_56_bottleneck"),
        ("cifar_vgg_14_relu_bn", "cifar_vgg_13_relu_bn"),
        ("cifar_vgg_13_relubn", "cifar_vgg_13_relu_bn"),
        ("mobilenet", "cifar_mobilenet"),
        ("cifar_mobilnet", "cifar_mobilenet"),
        ("gradient_flow_resnet_57", "gradient_flow_resnet_56"),
        ("cifar_imagenet_resnet_20", "cifar_imagenet_resnet_18"),
        ("torchvision_resnet_18", "torchvision_resnet18"),
        ("torchvision_mobilenetv2", "torchvision_mobilenet_v2"),
        ("torchvision_densenet_121", "torchvision_densenet121"),
        ("efficientnet_b0", "torchvision_efficientnet_b0"),
        ("cifar_wide_resnet_41_2", "cifar_wide_resnet_40_2"),
        ("cifar_wide_resnet_40_2.0", "cifar_wide_resnet_40_2"),
        ("cifar_wide_resnet_40_2_bottle_1", "cifar_wide_resnet_40_2_bottle_0.5"),
        ("cifar_wide_resnet_28_12_dropuot", "cifar_wide_resnet_28_12_dropout"),
        ("wrn_16_8", "cifar_wide_resnet_16_8"),
        ("cifar_densenet_41_12", "cifar_densenet_40_12"),
        ("cifar_densenet_bc_99_12", "cifar_densenet_bc_100_12"),
        ("densenet_bc_100_12", "cifar_densenet_bc_100_12"),
        ("imagenet_resnet_20", "imagenet_resnet_18"),
        ("imagenet_resnet50", "imagenet_resnet_50"),
        ("resnet101", "imagenet_resnet_101"),
        ("tinyimagenet_resnet18", "tinyimagenet_resnet_18"),
        ("tinyimagenet_modified_resnet_18", "tinyimagenet_modifiedresnet_18"),
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
    assert str(caught.value).count("Allowed: ") == str(caught.value).count("(8, 14, ") == 1
    assert "vgg" not in str(caught.value)


def test_a_name_like_no_other_gets_the_forms_of_all() -> None:
    """Where nothing is near, every form is listed and nothing suggested."""
    with pytest.raises(UserError) as caught:
        find("zzz")
    assert all(family.form in str(caught.value) for family in families())
    assert "Did you mean" not in str(caught.value)


def test_a_name_that_is_near_one_gets_its_rule_alone() -> None:
    """And the forms of the others, so that the answer is no page of rules."""
    with pytest.raises(UserError) as caught:
        find("cifar_mobilnet")
    told = str(caught.value)
    assert "cifar_mobilenet[_W] (the first version" in told
    assert all(family.form in told for family in families())
    assert sum(family.rule in told for family in families()) == 1
    assert len(told) < 1000


def test_every_example_is_a_name() -> None:
    """What is suggested can be asked for."""
    for family in families():
        assert all(find(name).family is family for name in family.examples)


def test_no_name_belongs_to_two_families() -> None:
    """Which family comes first decides nothing."""
    names = [example for family in families() for example in family.examples]
    for name in names:
        assert len([family for family in families() if family.arguments(name) is not None]) == 1


def test_entries_are_registered_by_their_names() -> None:
    """The name that enters versions is the one that looks the family up."""
    assert all(MODELS[family.name] is family for family in families())


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
    assert pruning_preset("my_net_b") == {}
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
