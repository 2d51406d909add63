"""Accounts of networks whose costs are known, and every input that is refused."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from limner.accounting.account import account
from limner.errors import AccountError
from limner.networks.cnn import CNN
from limner.networks.unet import UNet


@pytest.mark.parametrize(
    ("network", "parameters", "connections", "links"),
    [(CNN, 86_784, 15_630_336, 14_304_640), (UNet, 112_344, 18_800_640, 17_133_024)],
)
def test_the_write_ups_networks(
    network: type[nn.Module], parameters: int, connections: int, links: int
) -> None:
    totals = account(network, input=(1, 32, 32)).totals
    assert (totals.parameters, totals.connections, totals.links) == (parameters, connections, links)
    assert totals.trainable == parameters and totals.frozen == 0
    first = 32 * 32 * 32 * 9  # MACs of the first layer, whose input needs no gradient
    assert totals.step == 3 * connections - first
    assert totals.optimizer_state == 8 * parameters


def test_a_last_layer_alone_learns() -> None:
    result = account(CNN, input=(1, 32, 32), learn=["out"])
    out = 32 * 32 * 24 * 24 * 9
    assert result.totals.backward == out
    assert round(100 * out / result.totals.connections) == 34
    assert result.totals.trainable == 24 * 24 * 9 + 24
    assert result.totals.saved == 32 * 32 * 24 * 4  # the features


def test_rows_add_up_and_stand_in_order() -> None:
    result = account(CNN, input=(1, 32, 32), batch=3)
    names = [row.layer for row in result.rows]
    assert names[:5] == ["b1.conv", "b1.resize", "b1.norm", "b1.relu", "b2.conv"]
    assert names[-1] == "out" and len(names) == len(set(names)) == 21
    for field in ("parameters", "trainable", "buffers", "connections", "element_ops", "saved"):
        assert sum(getattr(row, field) for row in result.rows) == getattr(result.totals, field)
    row = result.rows[0]
    assert (row.kind, row.calls, row.output) == ("Conv2d", 1, (3, 32, 32, 32))
    assert row.connections == 3 * 32 * 32 * 32 * 9 and row.element_ops == 0
    assert result.rows[1].links is None and result.rows[1].element_ops == 3 * 32 * 16 * 16 * 4
    assert result.input == ((3, 1, 32, 32),) and result.model == "CNN"


PUBLISHED = {"alexnet": 224, "squeezenet1_1": 224, "resnet18": 224, "vgg11": 224}


@pytest.mark.parametrize("name", PUBLISHED)
def test_torchvisions_published_figures(name: str) -> None:
    meta = torchvision.models.get_model_weights(name).DEFAULT.meta
    side = PUBLISHED[name]
    totals = account(torchvision.models.get_model_builder(name), input=(3, side, side)).totals
    assert totals.parameters == meta["num_params"]
    assert round(totals.connections / 1e9, 3) == meta["_ops"]


def test_deeplab_and_the_norm_that_a_batch_of_one_cannot_train() -> None:
    builder = torchvision.models.segmentation.deeplabv3_resnet101
    result = account(builder, input=(3, 520, 520), learn=["classifier.4"])
    totals = result.totals
    assert (totals.parameters, totals.trainable) == (58_630_997, 5_397)
    assert totals.connections == 248_752_300_288
    assert totals.backward / totals.connections == pytest.approx(0.00009, abs=5e-6)
    assert result.notes[0].startswith("classifier.0.convs.4.2: a batch norm in training needs ")


class Shared(nn.Module):
    """One layer called twice, one weight under two names, buffers that are one, an aux head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 6)
        self.mix = nn.Linear(6, 6)
        self.head = nn.Linear(6, 10, bias=False)
        self.head.weight = self.embed.weight
        self.aux = nn.Linear(6, 2)
        self.idle = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        y = self.mix(self.mix(self.embed(x)))
        if self.training:
            return self.head(y), self.aux(y)
        z: Tensor = self.head(y)
        return z


def test_shared_weights_count_once_and_calls_count_each() -> None:
    result = account(Shared, input=(5,), batch=2, dtype=torch.int64)
    rows = {row.layer: row for row in result.rows}
    assert [*rows] == ["embed", "mix", "head", "aux", "idle"]
    assert rows["mix"].calls == 2 and rows["mix"].parameters == 42
    assert rows["mix"].connections == 2 * 10 * 36
    assert (rows["embed"].parameters, rows["head"].parameters) == (60, 0)
    assert result.totals.parameters == sum(p.numel() for p in Shared().parameters())
    assert (rows["aux"].connections, rows["aux"].training_forward) == (0, 10 * 12)
    assert (rows["idle"].parameters, rows["idle"].output, rows["idle"].calls) == (7, (), 0)
    assert rows["mix"].weight_gradient == rows["mix"].input_gradient == 720


def test_a_live_module_is_not_changed() -> None:
    live = torchvision.models.resnet18().train()
    live.layer1.eval()
    live.fc.requires_grad_(False)
    calls: list[nn.Module] = []
    live.fc.register_forward_hook(lambda module, arguments, output: calls.append(module))
    state = {key: value.clone() for key, value in live.state_dict().items()}
    modes = [part.training for part in live.modules()]
    result = account(live, input=(3, 64, 64), learn=["layer4", "fc"])
    assert [part.training for part in live.modules()] == modes
    assert [n for n, p in live.named_parameters() if not p.requires_grad] == [
        "fc.weight",
        "fc.bias",
    ]
    assert all(torch.equal(state[key], value) for key, value in live.state_dict().items())
    assert len(live.fc._forward_hooks) == 1 and live.fc not in calls
    assert all(parameter.grad is None for parameter in live.parameters())
    assert result.totals.frozen == sum(
        p.numel() for n, p in live.named_parameters() if not n.startswith(("layer4", "fc"))
    )


def test_a_frozen_module_is_counted_as_it_is() -> None:
    live = CNN()
    live.b1.requires_grad_(False)
    assert account(live, input=(1, 32, 32)).totals.frozen == 320 + 64
    assert account(live, input=(1, 32, 32), learn="all").totals.frozen == 0


def test_saved_bytes_can_be_measured_on_a_device() -> None:
    on_cpu = account(CNN, input=(1, 32, 32), batch=2, device="cpu")
    on_meta = account(CNN, input=(1, 32, 32), batch=2)
    assert on_cpu.device == "cpu" and on_cpu.totals.saved == on_meta.totals.saved
    assert [row.saved for row in on_cpu.rows] == [row.saved for row in on_meta.rows]


def test_an_inference_needs_less_than_a_step() -> None:
    totals = account(CNN, input=(1, 32, 32), optimizer="sgd").totals
    weights = 4 * totals.parameters
    assert weights < totals.peak_inference < totals.peak_training
    assert totals.peak_training > 2 * weights + totals.saved * 0.5
    adam = account(CNN, input=(1, 32, 32)).totals
    assert adam.peak_training - totals.peak_training == 2 * weights


class Fourier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.spectrum = Spectrum()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.spectrum(self.conv(x))
        return y


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.fft.fft(x).real
        return y


def test_an_unknown_operator_is_an_error_or_is_listed() -> None:
    with pytest.raises(AccountError, match=r"^spectrum \(Spectrum\) runs _fft_r2c, which no rule"):
        account(Fourier, input=(3, 8, 8))
    result = account(Fourier, input=(3, 8, 8), allow_unknown=True)
    assert result.unknown == (("spectrum", "_fft_r2c"),)
    assert result.totals.connections == 36 * 4 * 27
    assert "spectrum: _fft_r2c is not counted: no rule knows it" in result.notes
    assert "connections are not proved, since operators are unknown" in result.notes


class Chooses(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Allocates(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.ones(8, device="cpu")


BAD: list[tuple[object, dict[str, object], str]] = [
    (nn.Linear, {"input": (4,)}, "Linear needs in_features, out_features, which no argument"),
    (nn.Linear, {"input": (4,), "arguments": {"width": 1}}, "Linear has no argument 'width'; it"),
    (CNN, {}, "the input's shape is missing; give it without batch, 3x224x224 say"),
    (CNN, {"input": (1, 0, 32)}, "input size 0; give whole numbers above 0"),
    (CNN, {"input": (1, 32, 32), "batch": 0}, "input size 0; give whole numbers above 0"),
    (CNN, {"input": (1, 32.0, 32)}, "input size 32.0; give whole numbers above 0"),
    (CNN, {"input": (3, 32, 32)}, r"b1.conv \(Conv2d\) wanted 1 channels, got an input of \[1, 3"),
    (CNN, {"input": (1, 30, 30)}, r"the network \(CNN\) cannot run on an input of .*: a picture"),
    (CNN, {"input": (1, 32, 32), "learn": ["b9"]}, "nothing to learn under 'b9'; name parts of b1"),
    (CNN, {"input": (1, 32, 32), "optimizer": "lion"}, "optimizer 'lion' is not known; choose"),
    (CNN, {"input": (1, 32, 32), "device": "abacus"}, "device 'abacus' cannot be used here"),
    (CNN, {"input": (1, 8, 8), "dtype": [torch.int8] * 2}, "1 inputs but 2 types; give one type"),
    (Chooses, {"input": (3, 8, 8)}, r"the network \(Chooses\) depends on values \("),
    (Allocates, {"input": (3, 8, 8)}, r"the network \(Allocates\) makes a tensor on cpu \(ones\)"),
]


@pytest.mark.parametrize(("build", "arguments", "message"), BAD)
def test_what_cannot_be_counted_is_one_line(
    build: type[nn.Module], arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(AccountError, match=f"^{message}") as caught:
        account(build, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_several_inputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, words: Tensor) -> Tensor:
            return x[:, words[0]] @ x.transpose(1, 2)

    result = account(Two, input=[(4, 5), (3,)], dtype=[torch.float32, torch.int64], batch=2)
    assert result.input == ((2, 4, 5), (2, 3))
    assert result.totals.connections == 2 * 3 * 5 * 4
