"""The command line in this process, and a painter that needs no model."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from limner.cli import main
from limner.picture import Picture, open_picture, write_strips


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def limner(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run one command line: `limner("colorize", photo, "-o", folder)`."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


class FakePainting:
    certainty = 0.25

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.width, self.height = picture.width, picture.height
        self.colors_ignored = picture.bands == 3

    def strips(self) -> Iterator[np.ndarray]:
        for strip in self.picture.strips():
            grey = strip if strip.ndim == 2 else strip[..., 1]
            yield np.stack([grey, grey // 2, grey // 3], axis=-1)

    def certainty_picture(self) -> np.ndarray:
        return np.full((20, 30, 3), 64, np.uint8)

    def compare_picture(self) -> np.ndarray:
        return np.full((20, 60, 3), 128, np.uint8)

    def save(
        self, path: Path, format: str | None = None, quality: int = 95, overwrite: bool = False
    ) -> None:
        write_strips(path, self.width, self.height, self.strips(), format, quality, overwrite)


class FakePainter:
    """Tints a picture red; keeps what it was made with."""

    made: ClassVar[list[dict[str, object]]] = []

    def __init__(
        self, model: str = "photo", *, size: int | None = None, temperature: float | None = None,
        saturation: float = 1.0, device: str = "auto", max_pixels: int = 100_000_000,
    ) -> None:  # fmt: skip
        options = {"size": size, "temperature": temperature, "saturation": saturation}
        self.made.append({"model": model, "device": device, "max_pixels": max_pixels, **options})
        self.max_pixels = max_pixels

    def colorize(self, path: Path) -> FakePainting:
        return FakePainting(open_picture(path, self.max_pixels))


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> type[FakePainter]:
    """Let `limner colorize` paint with FakePainter."""
    module = ModuleType("limner.paint.painter")
    vars(module)["Painter"] = FakePainter
    monkeypatch.setitem(sys.modules, "limner.paint.painter", module)
    monkeypatch.setattr(FakePainter, "made", [])
    return FakePainter


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small grey JPEG, `album/old.jpg`."""
    return write_grey(tmp_path / "album" / "old.jpg")


def write_grey(path: Path, height: int = 30, width: int = 40) -> Path:
    """A grey picture (as RGB where the format wants it) with a slope of light."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    light = np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)
    Image.fromarray(light).save(path)
    return path
