"""Networks of many kinds cost what torchvision publishes with their weights."""

import pytest
from torchvision.models import get_model_builder, get_model_weights

from limner.accounting.account import account
from limner.errors import AccountError

AUXILIARY = {"deeplabv3_resnet101": {"aux_loss": True}}  # in the published figures


@pytest.mark.parametrize(
    "name",
    [
        "vgg11",  # plain convolutions and large linear layers
        "resnet50",  # sums
        "mobilenet_v3_small",  # grouped convolutions, squeeze and excitation
        "efficientnet_b0",
        "convnext_tiny",  # permutations, layer norms of channels
        "swin_t",  # attention by hand in shifted windows
        "vit_b_16",  # torch's attention
        "deeplabv3_resnet101",  # dilation, a dictionary of outputs, a batch norm of one value
        "lraspp_mobilenet_v3_large",
    ],
)
def test_figures_are_the_published_ones(name: str) -> None:
    weights = get_model_weights(name).DEFAULT
    made_for = weights.transforms.keywords
    side = made_for.get("crop_size") or made_for["resize_size"]
    build, arguments = get_model_builder(name), AUXILIARY.get(name, {})
    totals = account(build, arguments=arguments, input=(3, side, side)).totals
    assert totals.parameters == weights.meta["num_params"]
    assert f"{totals.connections / 1e9:.3f}" == f"{weights.meta['_ops']:.3f}"


def test_the_last_layer_of_a_segmentation_network() -> None:
    build = get_model_builder("deeplabv3_resnet101")
    result = account(build, input=(3, 520, 520), learn=["classifier.4"])
    totals = result.totals
    assert (totals.parameters, totals.trainable) == (58_630_997, 5_397)
    assert f"{totals.connections / 1e9:.3f}" == "248.752"
    places = 65 * 65  # of 520 / 8 x 520 / 8
    assert totals.backward == places * 256 * 21  # its weight gradient alone
    assert totals.saved == places * 256 * 4  # its input alone
    assert f"{100 * totals.backward / totals.connections:.3f}" == "0.009"
    assert any("classifier.0.convs.4.2" in note for note in result.notes)


def test_a_picture_of_another_size_is_refused_by_name() -> None:
    with pytest.raises(AccountError, match=r"VisionTransformer.*224"):
        account(get_model_builder("vit_b_32"), input=(3, 256, 256))
