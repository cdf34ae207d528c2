"""Branches: how a new run begins from saved states of others."""

from foundations.registry import Registry

KINDS: Registry[type] = Registry(
    "kind of run",
    {
        "train": "training.description:TrainDesc",
        "import": "training.imported:ImportDesc",
        "openlth": "training.openlth:OpenLthDesc",
        "openlth_branch": "branches.openlth:OpenLthBranch",
        "openlth_pruned": "branches.openlth:OpenLthPruned",
        "oneshot": "branches.oneshot:Oneshot",
        "interleaved": "branches.interleaved:Interleaved",
        "lottery_rewind": "branches.lottery_rewind:LotteryRewind",
        "shuffle": "branches.shuffle:Shuffle",
        "reinit": "branches.reinit:Reinit",
        "layer_matched": "branches.layer_matched:LayerMatched",
        "invert": "branches.invert:Invert",
        "finetune": "branches.finetune:Finetune",
        "retrain": "branches.retrain:Retrain",
        "scratch": "branches.scratch:Scratch",
        "distill": "branches.distill:Distill",
        "interpolate": "branches.interpolate:Interpolate",
    },
)
"""What each kind of run is: training jobs, imported weights, and the branches, a line each."""

_NOT_GROWN = ("train", "import", "openlth", "openlth_branch", "openlth_pruned")
"""Kinds that begin from no other run, or are imported."""


def branches() -> tuple[str, ...]:
    """The names of the branches there are."""
    return tuple(kind for kind in KINDS if kind not in _NOT_GROWN)
