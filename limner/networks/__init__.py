"""Networks by name: the write-up's own, a residual UNet, a pretrained pyramid, and DeepLabV3."""

import inspect
from collections.abc import Mapping

from limner.errors import RecipeError
from limner.networks.cnn import CNN
from limner.networks.deeplab import DeepLabV3
from limner.networks.network import Network, check_sides
from limner.networks.pyramid import Pyramid
from limner.networks.resunet import ResUNet
from limner.networks.unet import UNet

__all__ = ["NETWORKS", "Network", "build", "check_sides"]

NETWORKS: dict[str, type[Network]] = {
    "cnn": CNN,
    "unet": UNet,
    "resunet": ResUNet,
    "pyramid": Pyramid,
    "deeplabv3": DeepLabV3,
}


def build(name: str, arguments: Mapping[str, object]) -> Network:
    """The network `name` with random weights (torch's generator), in training mode.

    RecipeError for a name or an argument that does not exist, and for a value out of range.
    """
    if name not in NETWORKS:
        raise RecipeError(f"network {name!r} is not known; choose one of {', '.join(NETWORKS)}")
    network = NETWORKS[name]
    allowed = list(inspect.signature(network).parameters)
    for key in arguments:
        if key not in allowed:
            raise RecipeError(
                f"network {name} has no argument {key!r}; it takes {', '.join(allowed)}"
            )
    return network(**arguments)  # type: ignore[arg-type]
