"""What every network promises, and what the write-up says of its own two."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from limner.card import Card, Model
from limner.errors import LimnerError, RecipeError
from limner.learn.export import export, load
from limner.lookup import Lookup
from limner.networks import NETWORKS, Network, build, check_sides
from limner.networks.resunet import ResUNet
from limner.palette import Palette

NAMES = list(NETWORKS)
WITH_KERNEL = ["cnn", "unet", "resunet"]
# Every network at its defaults, and those of torchvision's that are cheap at a few pixels.
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in NAMES},
    "resnet50": ("deeplabv3", {"encoder": "resnet50"}),
    "mobilenet_v3_large": ("deeplabv3", {"encoder": "mobilenet_v3_large"}),
}


@pytest.fixture(scope="module", params=KINDS)
def network(request: pytest.FixtureRequest) -> Network:
    name, arguments = KINDS[request.param]
    torch.manual_seed(0)
    return build(name, {"NC": 5, **arguments}).eval()


def picture(network: Network, rows: int, columns: int, N: int = 1) -> Tensor:
    """A random input of so many times the network's multiple."""
    sides = (rows * network.multiple, columns * network.multiple)
    channels = int(network.arguments["NIn"])
    return torch.rand(N, channels, *sides, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("N", "rows", "columns"), [(1, 1, 1), (2, 3, 1), (1, 2, 5)])
def test_logits_stand_at_the_stride(network: Network, N: int, rows: int, columns: int) -> None:
    x = picture(network, rows, columns, N)
    height, width = x.shape[2] // network.stride, x.shape[3] // network.stride
    with torch.inference_mode():
        assert network(x).shape == (N, 5, height, width)


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_classes_and_one_or_three_channels(name: str) -> None:
    for NIn in (1, 3):
        network = build(name, {"NC": 1, "NIn": NIn}).eval()
        assert network(picture(network, 1, 2)).shape[:2] == (1, 1)


@pytest.mark.parametrize("name", WITH_KERNEL)
@pytest.mark.parametrize("k", [1, 5, 7])
def test_any_odd_kernel_keeps_the_sides(name: str, k: int) -> None:
    network = build(name, {"k": k, "NF": 3, "NC": 4}).eval()
    assert network(picture(network, 1, 2)).shape[2:] == (network.multiple, 2 * network.multiple)


@pytest.mark.parametrize("name", WITH_KERNEL)
def test_an_even_kernel_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="k = 4 is even; give an odd kernel size"):
        build(name, {"k": 4})


def test_forward_is_features_then_classify(network: Network) -> None:
    x = picture(network, 2, 1)
    with torch.inference_mode():
        assert torch.equal(network(x), network.classify(network.features(x)))


def test_the_last_layer_makes_the_logits(network: Network) -> None:
    layer = network.get_submodule(network.last_layer)
    x = picture(network, 1, 1)
    with torch.inference_mode():
        assert torch.equal(network.classify(network.features(x)), layer(network.features(x)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind: str) -> None:
    name, arguments = KINDS[kind]
    network = build(name, {"NC": 5, **arguments})
    network(picture(network, 2, 2, N=2)).square().sum().backward()
    still = [name for name, p in network.named_parameters() if p.grad is None]
    assert still == []


def test_weights_saved_and_loaded_give_the_same_logits(network: Network, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    name = next(name for name, kind in NETWORKS.items() if type(network) is kind)
    again = build(name, network.arguments).eval()
    x = picture(network, 1, 2)
    with torch.inference_mode():
        assert not torch.equal(again(x), network(x))
        again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
        assert torch.equal(again(x), network(x))


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_file_equals_torch(
    kind: str, exported: Callable[..., tuple[Network, Path]]
) -> None:
    name, arguments = KINDS[kind]
    network, path = exported(name, **arguments)
    model = Model(path, device="cpu")
    for N, rows, columns in [(1, 1, 1), (1, 1, 4), (4, 2, 1), (2, 5, 3)]:
        x = picture(network, rows, columns, N)
        with torch.inference_mode():
            expected = network(x).numpy()
        atol = 1e-4 * max(1, float(np.abs(expected).max()))
        np.testing.assert_allclose(model.run(x.numpy()), expected, rtol=0, atol=atol)
        with torch.inference_mode():  # control: another picture gives something else
            assert np.abs(network(x.flip(2)).numpy() - expected).max() > atol


@pytest.mark.parametrize(("H", "W"), [(1, 1), (33, 64), (64, 50)])
def test_other_sides_are_refused_and_the_named_ones_work(network: Network, H: int, W: int) -> None:
    high, wide = (-(-side // network.multiple) * network.multiple for side in (H, W))
    if (high, wide) == (H, W):
        pytest.skip("these sides suit this network")
    channels = int(network.arguments["NIn"])
    with pytest.raises(LimnerError, match=f"{H} x {W} .* pad it to {high} x {wide} "):
        network(torch.rand(1, channels, H, W))
    with torch.inference_mode():
        network(torch.rand(1, channels, high, wide))


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(LimnerError, match=r"0 x 8 .* pad it to 4 x 8 "):
        check_sides(torch.rand(1, 1, 0, 8), 4)


def test_unknown_networks_and_arguments_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"network 'vgg' .* cnn, unet, resunet, pyramid"):
        build("vgg", {})
    for name in WITH_KERNEL:
        with pytest.raises(RecipeError, match=f"{name} has no argument 'nf'; .* k, NF, NC, NIn"):
            build(name, {"nf": 3})
    with pytest.raises(RecipeError, match="no argument 'k'; it takes encoder, NC, NIn, width"):
        build("pyramid", {"k": 3})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cnn", {"NC": 0}),
        ("unet", {"NF": -3}),
        ("resunet", {"NIn": 1.5}),
        ("cnn", {"k": True}),
        ("pyramid", {"NIn": 2}),
        ("pyramid", {"width": 33}),
        ("pyramid", {"encoder": "tf_efficientnet_lite0"}),
        ("pyramid", {"encoder": "timm/no_such_network"}),
        ("pyramid", {"encoder": "timm/vit_tiny_patch16_224"}),
        ("pyramid", {"encoder": 3}),
    ],
)
def test_arguments_out_of_range_are_refused(name: str, arguments: dict[str, object]) -> None:
    with pytest.raises(RecipeError) as refused:
        build(name, arguments)
    assert "\n" not in str(refused.value)
    assert str(next(iter(arguments.values()))) in str(refused.value)


def test_parameters_of_the_write_up() -> None:
    def count(name: str) -> int:
        return sum(p.numel() for p in build(name, {}).parameters())

    assert count("cnn") == 86_784
    assert count("unet") == 112_344


def test_a_counted_look_up_is_where_the_resunet_begins(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(2)
    light = torch.randint(0, 256, (4, 1, 8, 16), generator=random) / 255
    classes = torch.randint(0, 5, (4, 8, 16), generator=random)
    network = build("resunet", {"NF": 4, "NC": 5, "greys": 256}).eval()
    assert isinstance(network, ResUNet)
    network.count(light, classes)
    lookup = Lookup.count([((light[:, 0] * 255).round().int().numpy(), classes.numpy())], 5)
    with torch.inference_mode():
        torch.nn.init.zeros_(network.out.get_parameter("conv.bias"))
        said = network(light)
    expected = lookup.logits((light[:, 0] * 255).round().int().numpy()).swapaxes(0, 1)
    np.testing.assert_allclose(said.numpy(), expected, atol=1e-6)
    card = Card(
        name="counted",
        task="colorize",
        network={"name": "resunet", "arguments": network.arguments},
        input="mean",
        working_size=32,
        stride=1,
        multiple=8,
        palette=Palette("rgb", np.arange(15, dtype=np.float32).reshape(5, 3)),
    )
    export(network, card, tmp_path / "counted.onnx")
    again = Model(tmp_path / "counted.onnx", device="cpu").run(light.numpy())
    np.testing.assert_allclose(again, expected, atol=1e-5)
    loaded, _ = load(tmp_path / "counted.onnx")
    assert torch.equal(loaded.state_dict()["out.table"], network.state_dict()["out.table"])


@pytest.mark.parametrize("arguments", [{"greys": 16}, {"greys": 256, "NIn": 3}])
def test_a_look_up_of_other_levels_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="give 0, or 256 with one input channel"):
        build("resunet", arguments)


def test_a_unet_without_skips_is_the_cnn() -> None:
    cnn, unet = build("cnn", {}).eval(), build("unet", {"skips": "none"}).eval()
    unet.load_state_dict(cnn.state_dict())
    x = torch.rand(2, 1, 8, 12)
    with torch.inference_mode():
        assert torch.equal(unet(x), cnn(x))


def test_each_skip_adds_its_own_channels() -> None:
    """Three sums of the write-up's table: k^2 channels in, times channels out."""
    added = {"b2": 9 * 64 * 32, "b1": 9 * 32 * 24, "picture": 9 * 24}
    for names in (["b2"], ["b1", "picture"], ["picture", "b2", "b1"]):
        unet = build("unet", {"skips": ",".join(names)})
        count = sum(p.numel() for p in unet.parameters())
        assert count == 86_784 + sum(added[name] for name in names)


@pytest.mark.parametrize("skips", ["", "b3", "b2,b2", "none,b1"])
def test_unknown_skips_are_refused(skips: str) -> None:
    with pytest.raises(RecipeError, match="b2,b1,picture, or none"):
        build("unet", {"skips": skips})


@pytest.mark.parametrize(("k", "NF", "NC"), [(3, 32, 24), (1, 2, 3), (5, 7, 4)])
def test_parameters_of_the_cnn_follow_the_formula(k: int, NF: int, NC: int) -> None:
    weights = k * k * (NC**2 + NC * NF + 8 * NF**2 + NF) + 2 * NC + 12 * NF
    biases = 6 * NF + 2 * NC
    parameters = build("cnn", {"k": k, "NF": NF, "NC": NC}).parameters()
    assert sum(p.numel() for p in parameters) == weights + biases


def by_hand(network: Network, x: Tensor, skips: bool) -> Tensor:
    """The write-up's table, layer by layer, with the network's weights."""
    state = network.state_dict()

    def convolve(name: str, x: Tensor) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def norm_relu(name: str, x: Tensor) -> Tensor:
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.norm.{key}"] for key in keys)).clamp(min=0)

    def doubled(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    def joined(x: Tensor, skip: Tensor) -> Tensor:
        return torch.cat([x, skip], dim=1) if skips else x

    y1 = norm_relu("b1", F.max_pool2d(convolve("b1.conv", x), 2))
    y2 = norm_relu("b2", F.max_pool2d(convolve("b2.conv", y1), 2))
    y3 = norm_relu("b3", convolve("b3.conv", y2))
    y4 = norm_relu("b4", doubled(convolve("b4.conv", joined(y3, y2))))
    y5 = norm_relu("b5", doubled(convolve("b5.conv", joined(y4, y1))))
    return convolve("out", joined(y5, x))


@pytest.mark.parametrize("name", ["cnn", "unet"])
def test_the_write_ups_layers_stand_in_its_order(name: str) -> None:
    torch.manual_seed(3)
    network = build(name, {"k": 5, "NF": 4, "NC": 6})
    for _ in range(3):  # statistics that are not their start values
        network(torch.randn(4, 1, 16, 24))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for block in (network.get_submodule(f"b{i}.norm") for i in range(1, 6)):
            block.get_parameter("weight")[::2] *= -1  # pooling and norm do not commute then
    network.eval()
    x = torch.rand(2, 1, 16, 24)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), by_hand(network, x, skips=name == "unet"))
