"""Names last: real descriptions, and the names that they must have for ever.

A name in this table is never changed. Every run that anybody has stored lies under one: if this
test fails, a default, a rounding, a spelling or a version has changed, and the stored runs would
not be found again. Mend that instead: a better default is a new preset or a new field, whose
default is what was done before. New kinds of runs get lines of their own.
"""

import hashlib
import json
from typing import Any

import pytest

from branches import KINDS
from branches.base import Branch
from branches.distill import Distill
from branches.finetune import Finetune
from branches.interpolate import Interpolate
from branches.invert import Invert
from branches.layer_matched import LayerMatched
from branches.lineages import iterative, lottery
from branches.lottery_rewind import LotteryRewind
from branches.oneshot import Oneshot
from branches.openlth import OpenLthBranch, OpenLthPruned
from branches.reinit import Reinit
from branches.retrain import Retrain
from branches.scratch import Scratch
from branches.shuffle import Shuffle
from foundations.description import BranchDesc, Description, RunRef, decode
from foundations.steps import Step
from models.presets import preset
from training.description import TrainDesc
from training.imported import ImportDesc
from training.openlth import OpenLthDesc, OpenLthHparams


def _train(name: str, **flags: object) -> TrainDesc:
    return TrainDesc.from_flat(preset(name) | flags)


DIGITS = _train("digits_lenet")
PRUNED = BranchDesc(parent=DIGITS, branch=Oneshot())
TWICE = BranchDesc(parent=PRUNED, branch=Oneshot(prune_fraction=1 - 0.8**2, strategy="snip10"))
THRICE = BranchDesc(
    parent=TWICE,
    branch=Oneshot(
        strategy="grasp1",
        prune_experiment=RunRef(_train("digits_lenet", lr=0.05), 2),
        prune_step=Step(1, 3),
        state_experiment=RunRef(PRUNED),
        state_step=Step(0, 5),
    ),
)
LOTTERY = lottery(_train("mnist_lenet_300_100"), LotteryRewind(layers_to_ignore=("fc.weight",)), 3)
FOLDER = {
    "dataset_name": "folder",
    "folder": "anywhere",
    "folder_digest": "0123456789abcdef" * 4,
    "image_size": 32,
}


CONTENT = "0123456789abcdef" * 4


def _imported(**flags: object) -> ImportDesc:
    return ImportDesc.from_flat(preset("cifar_resnet_20") | {"content": CONTENT} | flags)


def _branch(parent: Description, kind: type[Branch], **hparams: Any) -> BranchDesc:
    return BranchDesc(parent=parent, branch=kind(**hparams))


RECIPE = _train("cifar_resnet_20")
OPENLTH = OpenLthDesc(
    model=RECIPE.model,
    dataset=RECIPE.dataset,
    training=RECIPE.training,
    openlth=OpenLthHparams(experiment="lottery_0/level_pretrain"),
)
OPENLTH_LEVEL_0 = _branch(
    OPENLTH,
    OpenLthBranch,
    experiment="lottery_0/level_0",
    begin="1000it",
    training=RECIPE.training,
)


NAMES: dict[str, tuple[Description, str]] = {
    "digits_lenet": (DIGITS, "train_40262311f5b08ec9"),
    "digits_lenet_100": (_train("digits_lenet_100"), "train_5f128b1e74d3080a"),
    "mnist_lenet_300_100": (_train("mnist_lenet_300_100"), "train_94787f4a0b409548"),
    "mnist_lenet_300_100, fashion": (
        _train("mnist_lenet_300_100", dataset_name="fashion_mnist"),
        "train_6e59b5385fe2c0c9",
    ),
    "cifar_resnet_20": (_train("cifar_resnet_20"), "train_8888854348a3822b"),
    "cifar_resnet_20, cifar100": (
        _train("cifar_resnet_20", dataset_name="cifar100"),
        "train_5995698fdad9f543",
    ),
    "cifar_resnet_56_32": (_train("cifar_resnet_56_32"), "train_be1b2e41495f9fb0"),
    "cifar_vgg_16": (_train("cifar_vgg_16"), "train_169d194fd869043e"),
    "milestones": (
        _train(
            "cifar_resnet_20", milestone_steps="30ep,45ep200it", gamma=0.2, warmup_steps="400it"
        ),
        "train_00bf5ad15129e85f",
    ),
    "nesterov": (
        _train(
            "digits_lenet",
            momentum=0.0,
            nesterov_momentum=0.9,
            weight_decay=5e-4,
            label_smoothing=0.1,
        ),
        "train_ed13c92c880144df",
    ),
    "adamw": (
        _train("digits_lenet", optimizer_name="adamw", lr=1e-3, weight_decay=0.05, adam_beta2=0.95),
        "train_1cb0adab823ee1d7",
    ),
    "one_cycle": (
        _train("cifar_vgg_16", lr_schedule="one_cycle", milestone_steps=(), gamma=None),
        "train_c4e39f26360fc391",
    ),
    "cosine": (
        _train("digits_lenet", lr_schedule="cosine", warmup_steps="2ep", clip_gradient_norm=1),
        "train_aa4eecbf916b9afc",
    ),
    "bfloat16": (_train("cifar_resnet_20", numerics="bfloat16"), "train_a672b0a51dd392cd"),
    "compiled": (_train("mnist_lenet_300_100", numerics="compiled"), "train_fee529b8c0eb1c9d"),
    "data": (
        _train(
            "digits_lenet",
            subsample_fraction=0.5,
            random_labels_fraction=0.1,
            validation_fraction=0.1,
            augment_crop=1,
        ),
        "train_15d1c59c178625b4",
    ),
    "seeds": (
        _train("digits_lenet", model_seed=3, data_order_seed=4, transformation_seed=5),
        "train_1eca57266c7aaa3a",
    ),
    "initializer": (
        _train("digits_lenet", model_init="orthogonal", others_frozen=True),
        "train_231100636e1684a9",
    ),
    "folder": (_train("cifar_resnet_20", **FOLDER), "train_2228fe8d9057120f"),
    "import": (_imported(), "import_1a47594d2a09a8f3"),
    "import, before training": (_imported(import_step=Step(0)), "import_b682f6be42568dc8"),
    "oneshot": (PRUNED, "oneshot_778ca274c83c1312"),
    "oneshot, random to 95 %": (
        BranchDesc(parent=DIGITS, branch=Oneshot(strategy="random", prune_fraction=0.95)),
        "oneshot_9b385eb5add4340c",
    ),
    "oneshot, synflow in 100 rounds": (
        BranchDesc(
            parent=_train("cifar_resnet_20"),
            branch=Oneshot(strategy="synflow", prune_iterations=100),
        ),
        "oneshot_b27aa151938fe5fa",
    ),
    "oneshot, rewound": (
        BranchDesc(
            parent=_train("cifar_resnet_20"),
            branch=Oneshot(
                prune_step=Step(160), state_step=Step(0, 2000), start_step=Step(0, 2000)
            ),
        ),
        "oneshot_e8b159e719152f13",
    ),
    "oneshot, shuffled": (
        BranchDesc(parent=DIGITS, branch=Oneshot(randomize_layerwise=True, seed=3)),
        "oneshot_dde9b7ba818aca56",
    ),
    "oneshot, reinitialized": (
        BranchDesc(parent=DIGITS, branch=Oneshot(reinitialize=True, prune_highest=True)),
        "oneshot_16c05ae3776b6a5c",
    ),
    "finetune": (_branch(PRUNED, Finetune), "finetune_74482d85ef9cf001"),
    "finetune, one cycle": (
        _branch(
            PRUNED,
            Finetune,
            finetune_lr=0.1,
            finetune_lr_schedule="one_cycle",
            finetune_training_steps="20ep",
            finetune_milestone_steps=None,
        ),
        "finetune_2501afe09f2fdb8e",
    ),
    "retrain": (
        _branch(
            PRUNED,
            Retrain,
            retrain_dataset_name="mnist",
            retrain_milestone_steps="2ep,3ep",
            retrain_gamma=0.1,
            retrain_without=("warmup_steps",),
            state_step=Step(1),
        ),
        "retrain_e61cd50bb4bf38d5",
    ),
    "retrain on a folder": (
        _branch(DIGITS, Retrain, **{f"retrain_{name}": value for name, value in FOLDER.items()}),
        "retrain_c7bf2986fc936d06",
    ),
    "level 3 of a lottery": (LOTTERY[3], "lottery_rewind_0360c47c5290deb8"),
    "level 2, rewound to 1000it": (
        lottery(_train("cifar_resnet_20"), LotteryRewind(rewinding_steps=Step(0, 1000)), 2)[2],
        "lottery_rewind_b023654aa79855bd",
    ),
    "the learning rate rewound": (
        _branch(DIGITS, LotteryRewind, rewind="learning_rate"),
        "lottery_rewind_8ed32f818e2fea0f",
    ),
    "the last of five rounds": (
        iterative(DIGITS, LotteryRewind(prune_fraction=0.875), 5)[5],
        "lottery_rewind_f45184712a941eea",
    ),
    "shuffle": (_branch(PRUNED, Shuffle), "shuffle_97066a9a75b59e9c"),
    "shuffle of a level, evenly": (
        _branch(LOTTERY[3], Shuffle, shuffle="even", seed=3),
        "shuffle_9a53eab714e5ccc7",
    ),
    "reinit": (_branch(PRUNED, Reinit), "reinit_0efe80ade14e6544"),
    "reinit, another way": (
        _branch(
            PRUNED, Reinit, reinit_model_init="orthogonal", scaled=True, start_step=Step(0), seed=4
        ),
        "reinit_e37adc825df1de3d",
    ),
    "layer_matched": (_branch(PRUNED, LayerMatched), "layer_matched_55e155c390e95572"),
    "layer_matched, dense": (
        _branch(DIGITS, LayerMatched, counts_of=RunRef(PRUNED)),
        "layer_matched_2555499299c97fae",
    ),
    "invert": (_branch(PRUNED, Invert), "invert_e57eca0b8bded4ab"),
    "scratch": (_branch(PRUNED, Scratch), "scratch_ac590178287364dc"),
    "scratch, by FLOPs": (
        _branch(PRUNED, Scratch, budget="flops", plain=True),
        "scratch_0555de498654bfd1",
    ),
    "distill": (
        _branch(PRUNED, Distill, teachers=(RunRef(DIGITS), RunRef(TWICE))),
        "distill_f8360b60805eb397",
    ),
    "distill, labels too": (
        _branch(
            PRUNED,
            Distill,
            teachers=(RunRef(DIGITS),),
            distill_cross_entropy=0.5,
            distill_mean="examples_and_classes",
            distill_optimizer_name="sgd",
        ),
        "distill_3e3a755de5c9126c",
    ),
    "interpolate": (
        _branch(DIGITS, Interpolate, other=RunRef(PRUNED, 2)),
        "interpolate_2f22189cd818c31a",
    ),
    "interpolate, forked": (
        _branch(DIGITS, Interpolate, fork_step=Step(2), other_data_order_seed=3, points=31),
        "interpolate_9899b3821cd3f880",
    ),
    "openlth": (OPENLTH, "openlth_85c880c56e539117"),
    "openlth, after pre-training": (OPENLTH_LEVEL_0, "openlth_branch_d01d726cd507e24b"),
    "openlth, a level": (
        _branch(
            OPENLTH_LEVEL_0,
            OpenLthPruned,
            experiment="lottery_0/level_1",
            begin="1000it",
            origin_step="1000it",
            prune_fraction=0.2,
            layers_to_ignore=("fc.weight",),
        ),
        "openlth_pruned_6861f0121d54df0f",
    ),
    "two deep": (TWICE, "oneshot_b0d50eaec199b4d5"),
    "three deep, other runs": (THRICE, "oneshot_ac6569321687cd52"),
}


@pytest.mark.parametrize("what", NAMES)
def test_a_description_has_the_name_it_always_had(what: str) -> None:
    """As it is built, and as it comes back from JSON."""
    description, name = NAMES[what]
    assert description.name == name
    written = json.loads(json.dumps(description.to_json_dict()))
    assert decode(written, KINDS) == description
    assert decode(written, KINDS).name == name


def test_names_are_all_different() -> None:
    """No two descriptions of the table are one run."""
    assert len({name for _, name in NAMES.values()}) == len(NAMES)


def test_a_name_is_the_hash_of_what_is_written_here() -> None:
    """Kind, what differs from the defaults, and for a branch the name of the parent."""
    training = {"lr": 0.1, "optimizer_name": "sgd", "training_steps": [40, 0]}
    dense = {
        "dataset": {"batch_size": 64, "dataset_name": "digits"},
        "kind": "train",
        "model": {
            "batchnorm_init": "uniform",
            "model_init": "kaiming_normal",
            "model_name": "digits_lenet",
        },
        "training": training,
    }
    assert DIGITS.name == f"train_{_sha256(dense)}"
    pruned = {"branch": {"prune_fraction": 0.488}, "kind": "oneshot", "parent": DIGITS.name}
    asked = BranchDesc(parent=DIGITS, branch=Oneshot(prune_fraction=1 - 0.8**3))
    assert asked.name == f"oneshot_{_sha256(pruned)}"


@pytest.mark.parametrize(
    "same",
    [
        _train("digits_lenet", lr=0.1 + 1e-14, momentum=0, weight_decay=-0.0),
        _train("digits_lenet", training_steps="40ep0it"),
    ],
)
def test_two_ways_to_say_the_same_have_one_name(same: TrainDesc) -> None:
    """Floats are rounded, whole numbers are floats, and steps are epochs and iterations."""
    assert same.name == DIGITS.name
    half = _train("digits_lenet", apex_fp16=True)
    assert half.name == _train("digits_lenet", numerics="bfloat16").name
    wherever = _imported(path="anywhere", rename=("a=b",), import_step=Step(160))
    assert wherever.name == _imported().name
    there = _train("cifar_resnet_20", **FOLDER)
    assert there.name == _train("cifar_resnet_20", **FOLDER | {"folder": "elsewhere"}).name


def _sha256(canonical: object) -> str:
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
