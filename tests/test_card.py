"""The card goes there and back; a file that is not a model of ours is one clear line."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from limner import weights
from limner.card import FORMAT, Card, Model
from limner.errors import ModelError, PaletteError
from limner.palette import Palette

CARD = Card(
    name="tiny",
    task="colorize",
    network={"name": "cnn", "arguments": {"NC": 3}},
    input="light",
    working_size=64,
    stride=1,
    multiple=4,
    palette=Palette("ab", np.array([[0, 0], [10.1, -20.3], [1 / 3, 7e-5]], np.float32)),
    class_weights=(0.5, 1.25, 0.1),
    temperature=0.7,
    chroma=1.2,
    recipe={"learning_rate": 1e-3, "learn": ["all"]},
    data={"photos": {"pictures": 9600}},
    scores={"val": {"auc": {"value": 0.9, "low": 0.89, "high": 0.91}}},
    license="terms of the training pictures: 'mixed' — see LICENSE",
)


def model_bytes(metadata: dict[str, str]) -> bytes:
    """An ONNX model that triples its input into three constant multiples, with that metadata."""
    weight = numpy_helper.from_array(np.array([1, 2, 3], np.float32).reshape(3, 1, 1, 1), "w")
    node = helper.make_node("Conv", ["light", "w"], ["logits"])
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, "H", "W"])
        for name, channels in (("light", 1), ("logits", 3))
    )
    graph = helper.make_graph([node], "tiny", [given], [made], [weight])
    opset = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opset)
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(model_bytes({"limner": CARD.to_json()}))
    return path


@pytest.mark.parametrize(
    "card",
    [
        CARD,
        replace(CARD, class_weights=None, palette=Palette("rgb", np.eye(3, dtype=np.float32))),
        replace(CARD, input="mean", extra={"labels": ["sky"], "zoom": {"x": 1}}),
    ],
)
def test_there_and_back_is_exact(card: Card) -> None:
    again = Card.from_json(card.to_json(), "a.onnx")
    assert again == card
    assert again.to_json() == card.to_json()


def test_unknown_keys_are_kept() -> None:
    document = json.loads(CARD.to_json()) | {"mood": ["calm"]}
    card = Card.from_json(json.dumps(document), "a.onnx")
    assert card.extra == {"mood": ["calm"]}
    assert json.loads(card.to_json()) == document


def test_a_newer_format_says_upgrade() -> None:
    document = {"format": FORMAT + 1, "all": "is new"}
    with pytest.raises(ModelError) as refused:
        Card.from_json(json.dumps(document), "a.onnx")
    assert str(refused.value) == (
        f"a.onnx: made by a newer limner (format {FORMAT + 1}, this one reads {FORMAT}); "
        "upgrade limner"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"format": "1"}', '{"format": true}'])
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"^a.onnx: its card "):
        Card.from_json(text, "a.onnx")


@pytest.mark.parametrize("key", sorted(set(json.loads(CARD.to_json())) - {"format"}))
def test_a_missing_or_wrong_key_is_named(key: str) -> None:
    document = json.loads(CARD.to_json())
    wrong = json.dumps(document | {key: -1})
    with pytest.raises(ModelError, match=f"its card says {key} = -1, which should be "):
        Card.from_json(wrong, "a.onnx")
    del document[key]
    with pytest.raises(ModelError, match=f"its card lacks '{key}'"):
        Card.from_json(json.dumps(document), "a.onnx")


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": "write"},
        {"input": ["light"]},
        {"temperature": float("nan")},
        {"temperature": 0},
        {"chroma": -1.0},
        {"multiple": 2.5},
        {"class_weights": [1, 2]},
        {"class_weights": [1, 2, 0]},
        {"network": {"name": "cnn"}},
        {"palette": {"space": "ab", "colors": [[1, 2, 3]]}},
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ModelError, match=r"^a.onnx: .*; export the model again$"):
        Card.from_json(json.dumps(json.loads(CARD.to_json()) | wrong), "a.onnx")


def test_a_number_that_is_not_finite_is_not_written() -> None:
    with pytest.raises(ModelError, match="not finite"):
        replace(CARD, scores={"auc": float("inf")}).to_json()


def test_a_model_file_runs_and_knows_itself(file: Path) -> None:
    model = Model(file, device="cpu")
    assert model.card == CARD
    assert model.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    x = np.random.default_rng(0).random((2, 1, 4, 8), np.float32)
    assert np.array_equal(model.run(x), np.concatenate([x, 2 * x, 3 * x], axis=1))


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (replace(CARD, palette=Palette("ab", np.eye(2, dtype=np.float32)), class_weights=None),
         r"its output logits has the shape \['N', 3, 'H', 'W'\], where its card asks for 2 chan"),
        (replace(CARD, input="rgb"), r"its input has the shape .* asks for 3 channels"),
    ],
)  # fmt: skip
def test_a_graph_at_odds_with_its_card_is_one_line(
    tmp_path: Path, card: Card, message: str
) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(model_bytes({"limner": card.to_json()}))
    with pytest.raises(ModelError, match=message) as refused:
        Model(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_a_graph_without_logits_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(model_bytes({"limner": CARD.to_json()}).replace(b"logits", b"chroma"))
    with pytest.raises(ModelError, match=r"odd.onnx: its outputs are chroma and not logits"):
        Model(path)


def test_a_graph_may_leave_its_channels_open(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(model_bytes({"limner": CARD.to_json()}))
    for tensor in (model.graph.input[0], model.graph.output[0]):
        tensor.type.tensor_type.shape.dim[1].dim_param = "C"
    onnx.save(model, tmp_path / "open.onnx")
    assert Model(tmp_path / "open.onnx").card == CARD


def test_sides_that_the_multiple_does_not_divide_are_refused(file: Path) -> None:
    with pytest.raises(ModelError, match=r"5 x 8 .* pad it to 8 x 8 "):
        Model(file).run(np.zeros((1, 1, 5, 8), np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xff\xd8\xff\xe0 surely a JPEG", "not an ONNX file"),
        (b"\0" * 100, "not an ONNX file"),
        (model_bytes({"limner": CARD.to_json()})[:-9], "cut short"),
        (model_bytes({"limner": CARD.to_json()})[:60], "cut short"),
        (model_bytes({}), "an ONNX file without limner's card"),
        (model_bytes({"limner": '{"format": 99}'}), "made by a newer limner"),
    ],
)
def test_files_that_are_not_ours_are_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as refused:
        Model(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: cannot be read \(No such file"):
        Model(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match=r"cannot be read \(Is a directory"):
        Model(tmp_path)


def test_cuda_that_cannot_be_had_names_the_package(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ModelError, match="install onnxruntime-gpu"):
        Model(file, device="cuda")
    assert Model(file, device="auto").card == CARD


def test_models_go_by_name_or_path(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "FOLDER", file.parent)
    assert weights.names() == ("tiny",)
    assert weights.path("tiny") == file
    assert weights.path(file) == file
    assert weights.path(str(file)) == file
    with pytest.raises(ModelError, match=r"^huge: neither .* limner brings tiny$"):
        weights.path("huge")
    with pytest.raises(ModelError, match="neither a model's file"):
        weights.path(file.parent)
    with pytest.raises(ModelError, match="neither a model's file"):
        weights.path(300 * "x")


def test_palettes_go_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    CARD.palette.save(tmp_path / "three.json")
    assert weights.palette("three") == CARD.palette
    with pytest.raises(PaletteError, match="'four' is not known; limner brings three"):
        weights.palette("four")


def test_every_embedded_model_opens() -> None:
    for name in weights.names():
        assert Model(weights.path(name)).card.name == name


def test_the_graph_of_these_tests_is_valid(file: Path) -> None:
    onnx.checker.check_model(onnx.load(file), full_check=True)
