"""The hyperparameters of a network and its initialization. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foundations.errors import UserError, unknown
from foundations.hparams import Hparams
from models import MODELS, find
from models.initializers import BATCHNORM_INITIALIZERS, BIAS_INITIALIZERS, INITIALIZERS

if TYPE_CHECKING:
    from foundations.registry import Registry, Version


@dataclass(frozen=True, kw_only=True)
class ModelHparams(Hparams):
    """A network, how it is initialized, and what of it is not trained."""

    model_name: str
    """The network, such as digits_lenet, mnist_lenet_300_100, cifar_resnet_20 or cifar_vgg_16."""

    model_init: str
    """How the weights of convolutions and linear layers are drawn: kaiming_normal, kaiming_uniform,
    xavier_normal, orthogonal, binary, standard_normal (deviation 1), scaled_normal (deviation 0.1),
    uniform (of width init_width), pytorch_default, wide_resnet, kaiming_fan_out or vgg."""

    batchnorm_init: str
    """How batch norms begin (scale, shift): uniform (U(0,1), 0), fixed (1, 0), oneone (1, 1),
    positivenegative (U(-1,1), 0) or half (0.5, 0)."""

    batchnorm_frozen: bool = False
    """Do not train the scales and shifts of batch norms."""

    output_frozen: bool = False
    """Do not train the output layer."""

    others_frozen: bool = False
    """Train nothing but batch norms and the output layer."""

    others_frozen_exceptions: str | None = None
    """What others_frozen trains nevertheless: the beginnings of names of parameters, separated by
    commas."""

    model_seed: int | None = None
    """The seed of the initialization; it follows from the replicate unless given."""

    init_width: float | None = None
    """The w of --model_init=uniform, which draws weights from U(-w, w)."""

    bias_init: str = "pytorch_default"
    """How the biases of convolutions and linear layers begin: pytorch_default (drawn by the fan-in;
    with --model_init=wide_resnet, those of linear layers are 0) or zeros."""

    def check(self) -> None:
        """Refuse unknown names, and values that contradict each other."""
        find(self.model_name)
        _require_known(INITIALIZERS, self.model_init, "model_init")
        _require_known(BATCHNORM_INITIALIZERS, self.batchnorm_init, "batchnorm_init")
        _require_known(BIAS_INITIALIZERS, self.bias_init, "bias_init")
        uniform = self.model_init == "uniform"
        self.require(
            (self.init_width is not None) == uniform,
            "init_width",
            "model_init=uniform needs a width, and no other initializer takes one",
        )
        width_fits = self.init_width is None or 0 < self.init_width < float("inf")
        self.require(width_fits, "init_width", "a number above 0")
        self.require_seed("model_seed")
        self.require(
            self.others_frozen or self.others_frozen_exceptions is None,
            "others_frozen_exceptions",
            "it excepts from others_frozen, which is not set",
        )

    def versions(self) -> dict[str, Version]:
        """The versions of the network's family and of the initializers."""
        family = find(self.model_name).family.name
        return {
            f"model:{family}": MODELS.version(family),
            f"model_init:{self.model_init}": INITIALIZERS.version(self.model_init),
            f"batchnorm_init:{self.batchnorm_init}": BATCHNORM_INITIALIZERS.version(
                self.batchnorm_init
            ),
            f"bias_init:{self.bias_init}": BIAS_INITIALIZERS.version(self.bias_init),
        }


def _require_known(registry: Registry[Any], name: str, field: str) -> None:
    """Refuse a name that is not registered, without importing what it stands for."""
    if name not in registry:
        raise UserError(f"{field}: {unknown(registry.what, name, registry)}")
