"""Every network of torchvision and many of timm's beside what is published: a table in Markdown.

The table of docs/accounting-networks.md. torchvision publishes parameters (`num_params`) and
operations (`_ops`, thousand millions with three decimals) with its weights; the counts here are for
the picture that the weights were made for. timm publishes none in its package, so its networks
stand beside torch's own counter, run here on the meta device, and beside the elements of
their parameters. Nothing is downloaded and no weights are allocated. Exit code 1 if any differ.

    python benchmarks/published.py > table.md    # about 6 minutes of one core
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model_builder, get_model_weights, list_models

from limner.accounting.account import account
from limner.accounting.meta import build_on_meta

# What the weights set, and a builder without weights does not: auxiliary heads, a larger picture.
SET: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False},
    "vit_h_14": {"image_size": 518},
    "fcn_resnet50": {"aux_loss": True},
    "fcn_resnet101": {"aux_loss": True},
    "deeplabv3_resnet50": {"aux_loss": True},
    "deeplabv3_resnet101": {"aux_loss": True},
    "deeplabv3_mobilenet_v3_large": {"aux_loss": True},
}

# One or two of each family.
TIMM = """
beit_base_patch16_224 botnet26t_256 cait_xxs24_224 coat_tiny coatnet_0_rw_224 convit_tiny
convmixer_768_32 convnextv2_tiny crossvit_tiny_240 cspdarknet53 davit_tiny deit3_small_patch16_224
dla34 dpn68 edgenext_small efficientformer_l1 efficientvit_b0 efficientvit_m0
eva02_tiny_patch14_224 fastvit_t8 focalnet_tiny_srf ghostnet_100 hgnetv2_b0 hiera_tiny_224
hrnet_w18_small inception_next_tiny inception_v4 levit_128s mambaout_femto mixer_s16_224 mixnet_s
mobilenetv3_small_100 mobilenetv4_conv_small mobilevit_xxs mvitv2_tiny nf_resnet50 pit_ti_224
poolformer_s12 pvt_v2_b0 regnety_002 repvgg_a0 repvit_m0_9 res2net50_26w_4s resnest14d resnet50
resnetv2_50 resmlp_12_224 rexnet_100 seresnet50 sequencer2d_s skresnet18 starnet_s1
swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 tf_efficientnet_lite0 tiny_vit_5m_224
twins_svt_small vgg11 visformer_tiny vit_relpos_small_patch16_224 vit_tiny_patch16_224
volo_d1_224 ese_vovnet19b_dw xception41 xcit_nano_12_p16_224
"""


@dataclass(frozen=True)
class Network:
    """A network, its input (C, H, W), and what others count: operations as `macs` rounds them."""

    name: str
    build: Callable[..., nn.Module]
    input: tuple[int, ...]
    parameters: int
    macs: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def torchvisions() -> Iterator[Network]:
    """The classifiers, then the segmentation networks, with the figures of their best weights."""
    models = torchvision.models
    for name in [*list_models(module=models), *list_models(module=models.segmentation)]:
        weights = get_model_weights(name).DEFAULT
        made_for = weights.transforms.keywords
        side = made_for.get("crop_size") or made_for["resize_size"]
        yield Network(
            name=name,
            build=get_model_builder(name),
            input=(3, side, side),
            parameters=weights.meta["num_params"],
            macs=f"{weights.meta['_ops']:.3f}",
            arguments=SET.get(name, {}),
        )


def timms() -> Iterator[Network]:
    """The networks of TIMM, counted on the meta device by torch's FlopCounterMode."""
    for name in TIMM.split():
        build = timm.model_entrypoint(name)
        module = build_on_meta(build, {}).eval().requires_grad_(False)
        shape = timm.get_pretrained_cfg_value(name, "input_size") or ()
        with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
            module(torch.zeros(1, *shape))
        yield Network(
            name=name,
            build=build,
            input=shape,
            parameters=sum(parameter.numel() for parameter in module.parameters()),
            macs=f"{counter.get_total_flops() // 2:,}",
        )


def line(network: Network, decimals: int | None) -> tuple[str, bool]:
    """A line of the table, and whether both figures are the published ones.

    decimals: of thousand millions, to which operations are published; None: they are exact.
    """
    totals = account(network.build, arguments=network.arguments, input=network.input).totals
    macs = totals.connections
    same = [totals.parameters == network.parameters]
    if decimals is None:
        same.append(f"{macs:,}" == network.macs)
    else:  # a count on the edge may be published rounded either way
        same.append(abs(macs - float(network.macs) * 1e9) <= 0.5 * 10 ** (9 - decimals) + 1)
    verdict = "equal" if all(same) else "DIFFERS"
    arguments = ", ".join(f"{key}={value}" for key, value in network.arguments.items())
    cells = [
        network.name + (f" ({arguments})" if arguments else ""),
        "x".join(str(size) for size in network.input),
        f"{totals.parameters:,}",
        f"{network.parameters:,}",
        f"{macs:,}",
        network.macs,
        verdict,
    ]
    return f"| {' | '.join(cells)} |", all(same)


def table(title: str, others: str, networks: Iterator[Network], decimals: int | None) -> int:
    """Print a table as it is made, and return how many networks differ."""
    print(f"## {title}\n\n| network | input | parameters | {others} | verdict |")
    print("|---|---|--:|--:|--:|--:|---|")
    verdicts = []
    for network in networks:
        text, same = line(network, decimals)
        verdicts.append(same)
        print(text, flush=True)
        print(f"{len(verdicts)} {network.name}", file=sys.stderr)
    differing = verdicts.count(False)
    print(f"\n{len(verdicts)} networks, {differing} of them differ.\n")
    return differing


def main() -> int:
    differing = table(
        "torchvision",
        "`num_params` | MACs | `_ops`, GMACs",
        torchvisions(),
        3,
    )
    differing += table("timm", "elements | MACs | FlopCounterMode / 2", timms(), None)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
