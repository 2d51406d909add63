"""DeepLabV3: torchvision's under its own names and weights, ours at a quarter of the sides."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import segmentation
from torchvision.models._api import WeightsEnum
from torchvision.transforms.functional import normalize

from limner.cli import main
from limner.errors import ModelError, RecipeError
from limner.learn.export import load
from limner.masks.labels import voc_labels
from limner.networks import Network, build
from limner.networks.deeplab import DeepLabV3, published
from limner.networks.freeze import freeze
from limner.recipe import Recipe

OURS = "timm/test_efficientnet"  # a network that timm keeps for tests
State = dict[str, Tensor]


def theirs(encoder: str, NC: int = 21, aux: bool = False) -> nn.Module:
    builder = getattr(segmentation, f"deeplabv3_{encoder}")
    network: nn.Module = builder(weights=None, weights_backbone=None, num_classes=NC, aux_loss=aux)
    return network.eval()


def stir(network: nn.Module) -> None:
    """Statistics as if trained: those of a batch, without which little of the input arrives."""
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 64, 64))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


@pytest.mark.parametrize("encoder", ["resnet50", "mobilenet_v3_large"])
def test_torchvisions_weights_keep_names_and_logits(encoder: str) -> None:
    torch.manual_seed(0)
    original = theirs(encoder)
    stir(original)
    network = build("deeplabv3", {"encoder": encoder}).eval()
    assert list(network.state_dict()) == list(original.state_dict())
    network.load_state_dict(original.state_dict())
    x = torch.rand(2, 3, 64, 32)
    with torch.inference_mode():
        logits = network(x)
        seen = normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        expected = original(seen)["out"]
        enlarged = F.interpolate(logits, (64, 32), mode="bilinear", align_corners=False)
        torch.testing.assert_close(enlarged, expected, rtol=1e-4, atol=1e-4)
        assert (expected - original(x)["out"]).abs().max() > 1e-2  # control: not normalized
    assert logits.shape[2:] == (64 // network.stride, 32 // network.stride)


@pytest.mark.parametrize(
    ("encoder", "stride", "multiple"),
    [
        ("resnet50", 8, 8),
        ("resnet101", 8, 8),
        ("mobilenet_v3_large", 16, 16),
        ("timm/tf_efficientnet_lite0", 4, 16),
        (OURS, 4, 16),
    ],
)
def test_strides_multiples_and_the_last_layer(encoder: str, stride: int, multiple: int) -> None:
    with torch.device("meta"):
        network = build("deeplabv3", {"encoder": encoder, "NC": 5})
    assert (network.stride, network.multiple) == (stride, multiple)
    assert network.last_layer == "classifier.4"
    last = network.get_submodule("classifier.4")
    assert isinstance(last, nn.Conv2d)
    assert (last.in_channels, last.out_channels, last.kernel_size) == (256, 5, (1, 1))
    assert list(network.state_dict())[-2:] == ["classifier.4.weight", "classifier.4.bias"]


def test_resnet101_is_torchvisions_too() -> None:
    with torch.device("meta"):
        names = list(theirs("resnet101").state_dict())
    torch.manual_seed(0)
    network = build("deeplabv3", {"encoder": "resnet101"}).eval()
    assert list(network.state_dict()) == names
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 64, 64)).shape == (1, 21, 8, 8)


def test_ours_has_the_skip_and_the_dilated_map() -> None:
    network = build("deeplabv3", {"encoder": OURS, "width": 12, "NC": 3}).eval()
    maps = network.get_submodule("backbone")(torch.rand(1, 3, 64, 96))
    assert [tuple(m.shape[2:]) for m in maps] == [(16, 24), (8, 12), (4, 6), (4, 6)]
    x = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        features = network.features(x)
        assert features.shape == (1, 12, 16, 24)
        network.get_submodule("detail").get_submodule("1").get_parameter("weight").zero_()
        assert not torch.equal(network.features(x), features)


def test_the_embedded_one_is_small_enough() -> None:
    with torch.device("meta"):
        network = build("deeplabv3", {"width": 256, "NC": 21})
    assert 4 * sum(value.numel() for value in network.state_dict().values()) < 20e6


@pytest.mark.parametrize("encoder", [OURS, "mobilenet_v3_large"])
def test_light_is_three_equal_channels(encoder: str) -> None:
    torch.manual_seed(0)
    grey = build("deeplabv3", {"encoder": encoder, "NIn": 1}).eval()
    color = build("deeplabv3", {"encoder": encoder, "NIn": 3}).eval()
    color.load_state_dict(grey.state_dict())
    x = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        assert torch.equal(grey(x), color(x.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": "resnet50", "width": 128}, "width = 128; torchvision's resnet50 has 256"),
        ({"encoder": "resnet18"}, "'resnet18' is not known; give resnet50, resnet101, mobile"),
        ({"encoder": "timm/no_such_network"}, "no_such_network"),
        ({"NIn": 2}, "NIn = 2; a deeplabv3 takes 1 or 3"),
        ({"NC": 0}, "NC = 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        build("deeplabv3", arguments)
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def trained() -> State:
    """A state as torchvision publishes it, with the auxiliary head of its training."""
    torch.manual_seed(1)
    network = theirs("mobilenet_v3_large", aux=True)
    stir(network)
    state: State = network.state_dict()
    assert any(name.startswith("aux_classifier.") for name in state)
    return state


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub folder of torch's, and no network."""

    def unreachable(*arguments: object, **keywords: object) -> None:
        raise URLError("no route\nto host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_published_weights_are_loaded_without_the_auxiliary_head(
    trained: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[WeightsEnum] = []

    def fetch(weights: WeightsEnum, *arguments: object, **keywords: object) -> State:
        asked.append(weights)
        return dict(trained)

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fetch)
    network = published("mobilenet_v3_large")
    wanted = segmentation.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1
    assert asked == [wanted]
    state = network.state_dict()
    assert set(state) == {name for name in trained if not name.startswith("aux_classifier.")}
    assert all(torch.equal(value, trained[name]) for name, value in state.items())
    assert not any(part.training for part in network.modules())
    assert [name for name, _ in network.named_children()] == ["backbone", "classifier"]

    torch.manual_seed(2)
    fresh = build("deeplabv3", {"encoder": "mobilenet_v3_large", "NC": 4})
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    fresh.load_pretrained()
    for name, value in fresh.state_dict().items():
        last = name.startswith("classifier.4.")
        assert torch.equal(value, (before if last else trained)[name]), name


def test_the_published_network_becomes_a_model_file_with_its_head(
    trained: State, hub: Path, tmp_path: Path
) -> None:
    """The row of the untouched head: `limner export torchvision/ENCODER`, then evaluate."""
    wanted = segmentation.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1
    torch.save(trained, hub / os.path.basename(wanted.url))
    output = tmp_path / "untouched.onnx"
    assert main(["export", "torchvision/mobilenet_v3_large", "-o", str(output)]) == 0
    network, card = load(output)
    assert torch.equal(network.state_dict()["classifier.4.weight"], trained["classifier.4.weight"])
    assert (card.name, card.palette) == ("torchvision-mobilenet_v3_large", voc_labels())
    assert (card.working_size, card.stride, card.multiple) == (520, 16, 16)
    assert main(["export", "torchvision/mobilenet_v3_large", "-o", str(output)]) == 2
    assert main(["export", "torchvision/vgg", "-o", str(tmp_path / "other.onnx")]) == 2
    smaller = ["export", "torchvision/mobilenet_v3_large", "-o", str(tmp_path / "smaller.onnx")]
    assert main([*smaller, "--working-size", "250"]) == 2
    assert main([*smaller, "--working-size", "256"]) == 0
    assert load(tmp_path / "smaller.onnx")[1].working_size == 256


def test_weights_are_found_in_the_hub_folder(trained: State, hub: Path) -> None:
    wanted = segmentation.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1
    torch.save(trained, hub / os.path.basename(wanted.url))
    state = published("mobilenet_v3_large").state_dict()
    assert torch.equal(state["classifier.4.weight"], trained["classifier.4.weight"])


@pytest.mark.parametrize("content", [None, b"", b"not weights", b"PK\x03\x04 cut short"])
def test_weights_that_cannot_be_had_are_one_line(hub: Path, content: bytes | None) -> None:
    url = segmentation.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1.url
    if content is not None:
        (hub / os.path.basename(url)).write_bytes(content)
    with pytest.raises(ModelError) as refused:
        build("deeplabv3", {"encoder": "mobilenet_v3_large"}).load_pretrained()
    message = str(refused.value)
    assert url in message
    assert str(hub) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content",
    [nn.ReLU6(), nn.Linear(1, 1).state_dict(), {0: torch.zeros(1)}, [torch.zeros(1)], "shapes"],
    ids=["a module", "other names", "numbers", "a list", "other shapes"],
)
def test_a_whole_file_of_something_else_is_one_line(
    trained: State, hub: Path, content: object
) -> None:
    url = segmentation.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1.url
    if content == "shapes":
        content = {**trained, "classifier.4.bias": torch.zeros(5)}
    torch.save(content, hub / os.path.basename(url))
    with pytest.raises(ModelError) as refused:
        published("mobilenet_v3_large")
    message = str(refused.value)
    assert url in message
    assert str(hub) in message
    assert "\n" not in message
    # A pickled module is not even unpacked: it might run code.
    module = isinstance(content, nn.Module)
    assert ("cannot be had (UnpicklingError)" if module else "holds no weights of") in message


@pytest.mark.parametrize("name", ["camvid", "voc"])
def test_every_weight_learns_from_crops_of_the_recipes(name: str) -> None:
    """An arm that reaches beyond the crop meets padding alone, and keeps its first weights."""
    recipes = Path(__file__).parents[2] / "recipes"
    size = Recipe.load(recipes / f"{name}.toml").size
    network = build("deeplabv3", {"encoder": OURS, "width": 8}).train()
    network(torch.rand(2, 3, size, size)).square().sum().backward()
    still = [
        name
        for name, weight in network.named_parameters()
        if name.startswith("classifier.0.") and weight.ndim == 4
        if weight.grad is None or not weight.grad.flatten(2).abs().sum(dim=(0, 1)).all()
    ]
    assert still == []


def test_ours_builds_on_the_encoders_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    network = build("deeplabv3", {"encoder": OURS, "width": 8})
    backbone = network.get_submodule("backbone")
    weights = {name: torch.full_like(v, 0.5) for name, v in backbone.state_dict().items()}

    def load(encoder: str) -> State:
        asked.append(encoder)
        return weights

    monkeypatch.setattr("limner.networks.deeplab.load_encoder_weights", load)
    head = network.get_submodule("classifier.4").get_parameter("weight").clone()
    network.load_pretrained()
    assert asked == [OURS]
    assert all(bool((value == 0.5).all()) for value in backbone.parameters())
    assert torch.equal(network.get_submodule("classifier.4").get_parameter("weight"), head)


@pytest.fixture(scope="module")
def resnet50() -> DeepLabV3:
    torch.manual_seed(0)
    return DeepLabV3(encoder="resnet50", NC=3)


def steps(network: Network, batch: int, prepare: Callable[[], object]) -> None:
    """Three steps of training, each after `prepare`."""
    random = torch.Generator().manual_seed(4)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, 1e-2)
    for _ in range(3):
        prepare()
        x = torch.rand(batch, 3, 64, 64, generator=random)
        loss = F.cross_entropy(network(x), torch.randint(3, (batch, 8, 8), generator=random))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def moved(network: nn.Module, before: State) -> list[str]:
    return [n for n, value in network.state_dict().items() if not torch.equal(value, before[n])]


def copied(network: nn.Module) -> State:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_frozen_means_frozen(resnet50: DeepLabV3) -> None:
    """A batch of one, too: ASPP's pooled branch has one value a channel, no norm can learn it."""
    learning = freeze(resnet50, ["classifier.4"])
    before = copied(resnet50)
    calls = iter([1, 4, 2])

    def prepare() -> None:
        resnet50.eval()
        for _ in range(next(calls)):
            resnet50.train()

    steps(resnet50, 1, prepare)
    assert moved(resnet50, before) == learning == ["classifier.4.weight", "classifier.4.bias"]
    assert resnet50.training


def test_a_naive_freeze_moves_statistics(resnet50: DeepLabV3) -> None:
    """The control: what the networks' own train() is for."""
    freeze(resnet50, ["classifier.4"])
    before = copied(resnet50)

    def naive() -> None:
        nn.Module.train(resnet50)

    steps(resnet50, 2, naive)
    buffers = [name for name in moved(resnet50, before) if "running" in name or "tracked" in name]
    assert len(buffers) > 100
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        steps(resnet50, 1, naive)


@pytest.mark.parametrize("encoder", [OURS, "mobilenet_v3_large"])
def test_frozen_features_are_the_same_every_time(encoder: str) -> None:
    """Dropout is frozen with what feeds it: in ours one lies right before the last layer."""
    network = build("deeplabv3", {"encoder": encoder, "NC": 3})
    x = torch.rand(2, 3, 32, 32)
    freeze(network, ["classifier.4"])
    network.train()
    assert torch.equal(network.features(x), network.features(x))
    freeze(network, "all")
    network.train()
    assert not torch.equal(network.features(x), network.features(x))  # control


def test_the_model_file_loads_back(exported: Callable[..., tuple[Network, Path]]) -> None:
    """That ONNX Runtime says the same of it as torch, the contract's test sees."""
    network, path = exported("deeplabv3")
    again, card = load(path)
    assert (card.task, card.stride, card.multiple) == ("segment", 4, 16)
    assert again.arguments == network.arguments
    for name, value in network.named_parameters():
        assert torch.equal(again.get_parameter(name), value)
    x = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        assert torch.equal(again(x), network(x))


@pytest.mark.parametrize("encoder", [OURS, "mobilenet_v3_large"])
def test_batches_of_another_size_say_nearly_the_same(encoder: str) -> None:
    """What a picture's logits depend on beside the picture: within 1e-3 of their deviation."""
    torch.manual_seed(0)
    network = DeepLabV3(encoder=encoder)
    stir(network)
    x = torch.rand(5, 3, 64, 64)
    with torch.inference_mode():
        together = network(x)
        for size in (1, 2):
            apart = torch.cat([network(part) for part in x.split(size)])
            assert float((apart - together).std()) < 1e-3 * float(together.std())
    assert float((together[0] - together[1]).std()) > 1e-3 * float(together.std())
