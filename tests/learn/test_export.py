"""A model file holds the network as it is: the same logits, the same weights, and it trains on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

import limner.learn.export
from limner.card import Card, Model
from limner.errors import ModelError
from limner.learn.export import export, load
from limner.networks import Network, build
from limner.palette import Palette

ARGUMENTS = {"k": 3, "NF": 4, "NC": 5, "NIn": 1}
CARD = Card(
    name="tiny",
    task="colorize",
    network={"name": "unet", "arguments": ARGUMENTS},
    input="mean",
    working_size=32,
    stride=1,
    multiple=4,
    palette=Palette("rgb", np.arange(15, dtype=np.float32).reshape(5, 3)),
)


def trained() -> Network:
    """A UNet in training mode whose weights and statistics are not their start values."""
    torch.manual_seed(0)
    network = build("unet", ARGUMENTS)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    network(torch.rand(8, 1, 16, 16) * 3)
    return network


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    network, path = trained(), tmp_path_factory.mktemp("export") / "tiny.onnx"
    export(network, CARD, path)
    return network, path


def test_the_file_gives_torchs_logits(written: tuple[Network, Path]) -> None:
    network, path = written
    model = Model(path, device="cpu")
    assert model.card == CARD
    for shape in [(1, 1, 4, 4), (3, 1, 20, 8), (2, 1, 32, 32)]:
        x = torch.rand(shape)
        with torch.inference_mode():
            expected = network.eval()(x).numpy()
        np.testing.assert_allclose(model.run(x.numpy()), expected, rtol=0, atol=1e-4)


def test_the_file_holds_the_weights_under_their_names_and_norms_unfolded(
    written: tuple[Network, Path],
) -> None:
    network, path = written
    graph = onnx.load(path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name, value in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert np.array_equal(stored[name], value.numpy()), name
    assert sum(node.op_type == "BatchNormalization" for node in graph.node) == 5
    assert [value.name for value in graph.input] == ["light"]
    assert [value.name for value in graph.output] == ["logits", "features"]


def test_the_file_is_valid_and_tells_nothing_of_where_it_was_made(
    written: tuple[Network, Path],
) -> None:
    content = written[1].read_bytes()
    onnx.checker.check_model(onnx.load_model_from_string(content), full_check=True)
    for trace in (b".py", str(Path.cwd()).encode(), b"network.", b"stack_trace"):
        assert trace not in content
    assert [file.name for file in written[1].parent.iterdir()] == ["tiny.onnx"]


def test_a_loaded_network_is_the_same_and_trains_on(written: tuple[Network, Path]) -> None:
    network, path = written
    loaded, card = load(path)
    assert card == CARD
    assert not loaded.training
    x = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network.eval()(x))
    before = {name: value.clone() for name, value in loaded.state_dict().items()}
    optimizer = torch.optim.SGD(loaded.train().parameters(), 0.1)
    torch.nn.functional.cross_entropy(loaded(x), torch.zeros(2, 16, 16).long()).backward()
    optimizer.step()
    still = [n for n, value in loaded.state_dict().items() if torch.equal(value, before[n])]
    # A bias right before a batch norm, through a resizing that keeps constants, has no effect.
    assert [n for n in still if not n.endswith("conv.bias")] == []


def test_exported_loaded_and_exported_again_the_file_is_the_same(
    written: tuple[Network, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again.onnx"
    export(*load(written[1]), again)
    assert again.read_bytes() == written[1].read_bytes()
    assert capfd.readouterr() == ("", "")


def test_exporting_leaves_the_network_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: tuple[Network, Path]
) -> None:
    model = onnx.load(written[1])  # of the same network: the seconds of another export are saved
    monkeypatch.setattr(limner.learn.export, "to_onnx", lambda outputs, card: model)
    network = trained()
    b1 = network.get_submodule("b1").requires_grad_(False)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export(network, CARD, tmp_path / "tiny.onnx")
    assert network.training
    frozen = [n for n, p in network.named_parameters() if not p.requires_grad]
    assert frozen == [f"b1.{n}" for n, _ in b1.named_parameters()]
    assert all(torch.equal(value, before[n]) for n, value in network.state_dict().items())


def test_a_network_of_three_channels_takes_an_image(tmp_path: Path) -> None:
    network = build("cnn", {"NF": 2, "NC": 5, "NIn": 3})
    card = replace(CARD, network={"name": "cnn", "arguments": network.arguments}, input="rgb")
    export(network, card, tmp_path / "rgb.onnx")
    graph = onnx.load(tmp_path / "rgb.onnx").graph
    assert [value.name for value in graph.input] == ["image"]
    assert Model(tmp_path / "rgb.onnx").run(np.zeros((1, 3, 4, 8), np.float32)).shape[1] == 5


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"mine")
    with pytest.raises(ModelError, match=r"exists already; .*--overwrite"):
        export(trained(), CARD, path)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "wrong",
    [
        {"network": {"name": "cnn", "arguments": ARGUMENTS}},
        {"network": {"name": "unet", "arguments": {**ARGUMENTS, "NF": 8}}},
        {"multiple": 8},
        {"stride": 4},
        {"input": "rgb"},
        {"palette": Palette("rgb", np.eye(3, dtype=np.float32))},
    ],
)
def test_a_card_of_another_network_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ModelError, match=r"the card says .*, the network has "):
        export(trained(), replace(CARD, **wrong), tmp_path / "tiny.onnx")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_differs_from_torch_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: tuple[Network, Path]
) -> None:
    model = onnx.load(written[1])
    monkeypatch.setattr(limner.learn.export, "to_onnx", lambda outputs, card: model)
    bias = next(t for t in model.graph.initializer if t.name == "out.bias")
    export(written[0], CARD, tmp_path / "right.onnx")
    for added, shown in ((2e-4, "0.0002"), (float("nan"), "nan")):
        wrong = written[0].state_dict()["out.bias"].numpy() + np.float32(added)
        bias.CopyFrom(numpy_helper.from_array(wrong, "out.bias"))
        with pytest.raises(ModelError, match=f"not written: .* logits differ by {shown}"):
            export(written[0], CARD, tmp_path / "wrong.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["right.onnx"]


def test_large_logits_may_differ_by_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: tuple[Network, Path]
) -> None:
    """What float32 rounds off grows with the numbers, and so does what is allowed."""
    model = onnx.load(written[1])
    monkeypatch.setattr(limner.learn.export, "to_onnx", lambda outputs, card: model)
    network = trained()
    bias = network.get_parameter("out.bias")
    stored = next(t for t in model.graph.initializer if t.name == "out.bias")
    with torch.no_grad():
        bias.fill_(20)
    for added, name in ((1e-3, "right.onnx"), (4e-3, "wrong.onnx")):
        stored.CopyFrom(numpy_helper.from_array(bias.detach().numpy() + added, "out.bias"))
        if name == "right.onnx":
            export(network, CARD, tmp_path / name)
            continue
        with pytest.raises(ModelError, match=r"logits differ by 0\.004 .* more than 0\.002"):
            export(network, CARD, tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["right.onnx"]


def refile(written: tuple[Network, Path], path: Path, card: str | None) -> None:
    """The written file with another card."""
    model = onnx.load(written[1])
    del model.metadata_props[:]
    if card is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = "limner", card
    onnx.save(model, path)


def test_files_that_are_not_ours_are_refused(tmp_path: Path, written: tuple[Network, Path]) -> None:
    path = tmp_path / "model.onnx"
    whole = written[1].read_bytes()
    for content, message in (
        (b"", "is empty"),
        (b"\x89PNG or so", "not an ONNX file"),
        (whole[: len(whole) // 2], "cut short"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=message):
            load(path)
    for card, message in (
        (None, "an ONNX file without limner's card"),
        ('{"format": 7}', "made by a newer limner"),
        (replace(CARD, network={"name": "vgg", "arguments": {}}).to_json(), "cannot be built"),
    ):
        refile(written, path, card)
        with pytest.raises(ModelError, match=message):
            load(path)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path, written: tuple[Network, Path]) -> None:
    path = tmp_path / "model.onnx"
    wider = {"name": "unet", "arguments": {**ARGUMENTS, "NF": 8}}
    refile(written, path, replace(CARD, network=wider).to_json())
    with pytest.raises(ModelError, match=r"do not fit its network at b1\.conv\.weight"):
        load(path)
