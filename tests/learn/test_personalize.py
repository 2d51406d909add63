"""A model learns a person's colors: what changes, how much, and what stays."""

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limner.card import Card, Model
from limner.dataset import find
from limner.errors import DataError, ModelError
from limner.learn import fit
from limner.learn.export import load
from limner.learn.loading.batches import Batch
from limner.learn.loading.data import load as load_pictures
from limner.learn.loading.sources import cut
from limner.learn.personalize import OWN, in_color, name_of, personalize, recipe_of
from limner.learn.run import Run
from limner.paint.painter import Painter

Released = Callable[[], tuple[Card, Path]]
STEPS = 120


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of one orange that darkens to the right."""
    folder = tmp_path_factory.mktemp("album")
    ramp = np.linspace(0.4, 1.0, 64)[None, :, None]
    picture = np.rint(ramp * np.array([250, 140, 40]) * np.ones((48, 1, 1))).astype(np.uint8)
    for index in range(20):
        Image.fromarray(np.roll(picture, index, axis=1)).save(folder / f"{index:02}.png")
    return folder


@pytest.fixture(scope="module")
def personal(
    released: Released, album: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The model as it was, and personalized."""
    _, source = released()
    path = tmp_path_factory.mktemp("personal") / "mine.onnx"
    personalize(source, str(album), path, steps=STEPS)
    return source, path


def test_the_last_layer_alone_changes(personal: tuple[Path, Path]) -> None:
    before, after = (load(path)[0] for path in personal)
    old, new = before.state_dict(), after.state_dict()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {n for n in old if n.startswith(f"{before.last_layer}.")}


def test_it_colors_more_as_the_photographs(personal: tuple[Path, Path], album: Path) -> None:
    """The chroma of an orange grows on a picture of that kind."""
    grey = np.asarray(Image.open(album / "03.png").convert("L"))
    before, after = (Painter(str(path)).colorize(grey).array for path in personal)

    def warmth(picture: np.ndarray) -> float:
        return float(picture[..., 0].mean() - picture[..., 2].mean())

    assert warmth(after) > warmth(before) + 2


def test_the_card_tells_of_it(personal: tuple[Path, Path], album: Path) -> None:
    old, new = (Model(path, device="cpu").card for path in personal)
    assert new.name == "mine"
    assert set(new.data) == {*old.data, OWN}
    assert new.data[OWN]["held_out"] == 4  # a fifth
    assert new.data[OWN]["fingerprint"] == find(str(album), "train").fingerprint()
    assert album.name not in new.to_json()  # where it lies is nobody's business
    assert name_of(find(str(album), "train"), old) == OWN
    assert name_of(find(str(album), "train"), new) == f"{OWN} 2"
    assert name_of(find("cifar10:horse", "train"), new) == "cifar10:horse"
    assert new.license.startswith(old.license)
    assert "folder of your own" in new.license
    assert new.scores == {}
    assert (new.temperature, new.chroma, new.palette) == (old.temperature, old.chroma, old.palette)
    assert new.recipe["personalized"]["strength"] == 1
    assert new.recipe["personalized"]["cache"] == "fp32"


def test_strength_blends(
    personal: tuple[Path, Path], album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, full = personal
    old, new = (load(path)[0].state_dict() for path in (source, full))
    written: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(  # writing a file takes seconds
        "limner.learn.personalize.export",
        lambda network, *_, **more: written.append(network.state_dict()),
    )
    for strength in (0.0, 0.25):
        path = tmp_path / f"{strength}.onnx"
        personalize(source, str(album), path, steps=STEPS, strength=strength)
        for name, value in written[-1].items():
            if value.is_floating_point():
                torch.testing.assert_close(value, torch.lerp(old[name], new[name], strength))


def test_a_part_of_the_last_layer_can_learn(
    released: Released, album: Path, tmp_path: Path
) -> None:
    _, source = released()
    network = load(source)[0]
    bias = next(
        name
        for name, _ in network.named_parameters()
        if name.startswith(f"{network.last_layer}.") and name.endswith("bias")
    )
    personalize(source, str(album), tmp_path / "bias.onnx", steps=2, learn=bias)
    old, new = network.state_dict(), load(tmp_path / "bias.onnx")[0].state_dict()
    assert {name for name in old if not torch.equal(old[name], new[name])} == {bias}


def test_nothing_is_replaced_unasked(released: Released, album: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"mine")
    with pytest.raises(ModelError, match=r"mine.onnx: exists already; .*--overwrite"):
        personalize(released()[1], str(album), path, steps=1)
    assert path.read_bytes() == b"mine"


def test_an_album_has_enough_for_a_batch(released: Released, tmp_path: Path) -> None:
    """However few photographs there are, those that are not held out fill one."""
    card, _ = released()
    for count in range(1, 24):
        Image.new("RGB", (8, 8), "red").save(tmp_path / f"{count:02}.png")
        recipe = recipe_of(card, "last", "album", count, 10, 0)
        if count > 1:
            learned, held = cut(count, find(str(tmp_path), "train"), recipe, "album", 1.0)
            assert 1 <= recipe.batch <= len(learned)
            assert len(held) == max(1, count // 5)
    assert recipe.batch == 16


def test_stopped_is_not_written(
    released: Released, album: Path, tmp_path: Path, session_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    learn = fit.learn

    def interrupted(run: Run, batch: Batch) -> torch.Tensor:
        signal.raise_signal(signal.SIGINT)
        return learn(run, batch)

    monkeypatch.setattr(fit, "learn", interrupted)
    with pytest.raises(fit.Stopped, match=r"mine\.onnx: stopped, not written") as error:
        personalize(released()[1], str(album), tmp_path / "mine.onnx", steps=3)
    assert len(str(error.value).splitlines()) == 1
    assert "limner train" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    assert left(session_cache) == []


def left(cache: Path) -> list[Path]:
    """What is kept of photographs that a model learned from."""
    return list((cache / "limner").glob("personalize*"))


def test_what_is_kept_on_the_way_goes(
    released: Released, tmp_path: Path, session_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it ends; and the cache of other training gains nothing."""
    folder = tmp_path / "a=b"  # no weight
    folder.mkdir()
    for index in range(3):
        Image.new("RGB", (40 + index, 36), (200, 90, 30)).save(folder / f"{index}.png")
    Image.new("CMYK", (40, 36)).save(folder / "9.jpg")
    source = released()[1]
    monkeypatch.setattr("limner.learn.personalize.export", lambda *_, **more: None)
    before = set((session_cache / "limner").iterdir())
    seen: list[list[Path]] = []
    told = []

    def report(step: int, steps: int, record: dict[str, object] | None) -> None:
        told.append(record or {})
        if "validation" in told[-1]:
            (kept,) = left(session_cache)
            seen.append([file for file in kept.iterdir() if file.suffix == ".npy"])

    card = personalize(source, str(folder), tmp_path / "mine.onnx", steps=2, report=report)
    assert card.data[OWN]["pictures"] == 2
    assert [line for one in told if (line := one.get("left_out"))] == [
        f"{folder}/9.jpg: pixels of kind CMYK; learning reads 8-bit grey and RGB, convert or "
        "remove the file"
    ]
    assert [len(files) for files in seen] == [2]
    assert [one for one in told if "bytes" in one and "decoding" in one] == [
        {"decoding": str(folder), "caching": str(seen[0][0].parent), "bytes": 3 * 36 * 123}
    ]
    assert set((session_cache / "limner").iterdir()) == before

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "fit", fail)
    with pytest.raises(KeyboardInterrupt):
        personalize(source, str(folder), tmp_path / "mine.onnx", steps=2)
    assert set((session_cache / "limner").iterdir()) == before


def test_grey_photographs_teach_no_color(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "grey"
    folder.mkdir()
    for index in range(6):
        Image.new("L", (40, 40), 40 * index).save(folder / f"{index}.png")
    monkeypatch.setattr(fit, "fit", lambda *_, **more: pytest.fail("training began"))
    with pytest.raises(DataError, match="grey: all its photographs are grey"):
        personalize(released()[1], str(folder), tmp_path / "mine.onnx", steps=1)
    with Image.open(folder / "5.png") as image:
        mixed = image.convert("RGB")
    mixed.putpixel((3, 4), (200, 190, 180))
    mixed.save(folder / "5.png")
    assert in_color(load_pictures(find(str(folder), "train")))
