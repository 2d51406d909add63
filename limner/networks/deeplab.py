"""DeepLabV3: dilated convolutions at several rates, side by side, over a pretrained encoder.

torchvision's own (Chen et al. 2017), whose names of weights are kept, and a small one on timm's
encoders with the skip from a quarter of the sides of DeepLabV3+ (Chen et al. 2018).
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.errors import ModelError, RecipeError
from limner.networks.encoder import PREFIX, build_encoder, load_encoder_weights, normalization
from limner.networks.network import Network, check_counts, check_sides

# torchvision's networks by their encoder: builder, weights, stride
TORCHVISION = {
    "resnet50": ("deeplabv3_resnet50", "DeepLabV3_ResNet50_Weights", 8),
    "resnet101": ("deeplabv3_resnet101", "DeepLabV3_ResNet101_Weights", 8),
    "mobilenet_v3_large": ("deeplabv3_mobilenet_v3_large", "DeepLabV3_MobileNet_V3_Large_Weights",
                           16),
}  # fmt: skip
WEIGHTS = "COCO_WITH_VOC_LABELS_V1"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # what torchvision's were trained with
WIDTH = 256  # of torchvision's
# Of the dilated convolutions, at a sixteenth of the sides: half of those of Chen et al. (2018),
# whose crops have 33 places a side. Ours have 12 or a few more: an arm as long as theirs would meet
# nothing but padding, learn nothing, and speak at random when larger pictures come.
RATES = (3, 6, 9)
DETAIL = 48  # channels of the skip (the same)
DROPOUT = 0.1


def convolve(channels_in: int, channels_out: int, k: int = 1) -> nn.Sequential:
    """Convolution that keeps the sides, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, k, padding=k // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def separable(channels_in: int, channels_out: int, rate: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution of each channel by itself, then one of 1 x 1 across them: an eighth to a
    ninth of the weights of one that does both."""
    return nn.Sequential(
        nn.Conv2d(
            channels_in, channels_in, 3, padding=rate, dilation=rate, groups=channels_in, bias=False
        ),
        nn.BatchNorm2d(channels_in),
        *convolve(channels_in, channels_out),
    )


class Pool(nn.Sequential):
    """What the whole picture says, everywhere: [N, C, H, W] -> [N, width, H, W]."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *convolve(channels, width))

    def forward(self, x: Tensor) -> Tensor:
        pooled = x
        for layer in self:
            pooled = layer(pooled)
        return pooled.expand(-1, -1, *x.shape[-2:])


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al. 2017), its dilated convolutions separable:
    [N, channels, H, W] -> [N, width, H, W]."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        dilated = [separable(channels, width, rate) for rate in RATES]
        self.branches = nn.ModuleList([convolve(channels, width), *dilated, Pool(channels, width)])
        self.join = nn.Sequential(*convolve(len(self.branches) * width, width), nn.Dropout(DROPOUT))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.join(torch.cat([branch(x) for branch in self.branches], dim=1))
        return y


class DeepLabV3(Network):
    """Logits for segmentation from a pretrained encoder.

    encoder: "resnet50", "resnet101" or "mobilenet_v3_large" for torchvision's networks (logits at
    an eighth, an eighth and a sixteenth of the sides), "timm/NAME" for ours (at a quarter). NC:
    classes; NIn: 1 (repeated to three channels) or 3; width: of ours (torchvision's is 256).
    x: [N, NIn, H, W] in 0..1, normalized inside. features: [N, width, H/stride, W/stride].
    """

    multiple: int
    stride: int
    last_layer = "classifier.4"
    encoder_part = "backbone"

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        encoder: str = "timm/tf_efficientnet_lite0",
        NC: int = 21,
        NIn: int = 3,
        width: int = 256,
    ) -> None:
        super().__init__({"encoder": encoder, "NC": NC, "NIn": NIn, "width": width})
        check_counts(NC=NC, width=width)
        if NIn not in (1, 3):
            raise RecipeError(f"network argument NIn = {NIn!r}; a deeplabv3 takes 1 or 3 channels")
        if str(encoder).startswith(PREFIX):
            self.backbone, channels = build_encoder(encoder, coarsest=16)
            self.detail: nn.Module | None = convolve(channels[0], DETAIL)
            self.classifier = nn.Sequential(
                ASPP(channels[-1], width),
                separable(width + DETAIL, width),
                separable(width, width),
                nn.Dropout(DROPOUT),
                nn.Conv2d(width, NC, 1),
            )
            self.stride, self.multiple = 4, 16
            statistics = normalization(encoder)
        else:
            theirs = torchvision_network(encoder, NC)
            if width != WIDTH:
                raise RecipeError(
                    f"network argument width = {width}; torchvision's {encoder} has {WIDTH}, "
                    f"give that, or an encoder timm/NAME"
                )
            self.backbone, self.detail = theirs.backbone, None
            self.classifier = theirs.classifier
            self.stride = self.multiple = TORCHVISION[encoder][2]
            statistics = IMAGENET
        for name, values in zip(("mean", "std"), statistics, strict=True):
            # Not persistent: they follow from the encoder's name and are no weights.
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def features(self, x: Tensor) -> Tensor:
        check_sides(x, self.multiple)
        maps: Any = self.backbone((x - self.mean) / self.std)  # 1 channel becomes 3
        gather, *smooth, _ = self.classifier
        if self.detail is None:
            y: Tensor = gather(maps["out"])
        else:
            fine, coarse = maps[0], maps[-1]
            y = F.interpolate(
                gather(coarse), scale_factor=4.0, mode="bilinear", align_corners=False
            )
            y = torch.cat([y, self.detail(fine)], dim=1)
        for layer in smooth:
            y = layer(y)
        return y

    def classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier[-1](features)
        return logits

    def load_pretrained(self) -> None:
        encoder = str(self.arguments["encoder"])
        if encoder.startswith(PREFIX):
            self.backbone.load_state_dict(load_encoder_weights(encoder))
            return
        state = published(encoder).state_dict()
        fresh = {k: v for k, v in self.state_dict().items() if k.startswith(self.last_layer + ".")}
        self.load_state_dict({**state, **fresh})


def torchvision_network(encoder: str, NC: int) -> Any:
    """torchvision's DeepLabV3 with random weights, without its auxiliary head."""
    from torchvision.models import segmentation

    if encoder not in TORCHVISION:
        raise RecipeError(
            f"encoder {encoder!r} is not known; give {', '.join(TORCHVISION)}, or timm/NAME"
        )
    builder = getattr(segmentation, TORCHVISION[encoder][0])
    return builder(weights=None, weights_backbone=None, num_classes=NC, aux_loss=False)


def published(encoder: str) -> DeepLabV3:
    """torchvision's network with its weights, the last layer's 21 VOC classes included, in eval.

    The auxiliary head is loaded and left away: it served training alone. Raises ModelError where
    the weights can neither be found nor fetched, and for a file of other weights under their name.
    """
    from torchvision.models import segmentation

    network = DeepLabV3(encoder=encoder)
    weights = getattr(segmentation, TORCHVISION[encoder][1])[WEIGHTS]
    folder = Path(torch.hub.get_dir(), "checkpoints")
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise ModelError(
            f"the weights of {encoder} cannot be had ({type(error).__name__}); put "
            f"{weights.url} into {folder}, or connect to the internet"
        ) from error
    try:
        own = {k: v for k, v in state.items() if not k.startswith("aux_classifier.")}
        network.load_state_dict(own)
    except (RuntimeError, AttributeError) as error:  # names or shapes of another; no names at all
        raise ModelError(
            f"{folder / Path(weights.url).name}: holds no weights of {encoder}; put {weights.url} "
            "in its place, or remove it and connect to the internet"
        ) from error
    return network.eval()
