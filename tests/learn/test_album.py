"""Photographs to personalize with: small, upright, the unreadable ones left out and named."""

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.dataset import find
from limner.errors import DataError
from limner.learn import album
from limner.learn.loading import data
from limner.learn.loading.data import decode

SIDES = (600, 400)


def photograph() -> Image.Image:
    """Red grows to the right, green downwards."""
    right, down = np.meshgrid(np.linspace(0, 255, SIDES[0]), np.linspace(0, 255, SIDES[1]))
    return Image.fromarray(np.stack([right, down, 0 * down + 90], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_photograph_is_made_small_and_stays_itself(
    tmp_path: Path, ending: str, orientation: int
) -> None:
    path = tmp_path / f"large.{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    photograph().save(path, exif=exif)
    whole, small = Image.fromarray(decode(path)), album.small(path, 70)
    assert small.shape == ((105, 70, 3) if orientation == 6 else (70, 105, 3))
    expected = np.asarray(whole.resize(small.shape[1::-1], Image.Resampling.BOX), np.int16)
    assert np.abs(small - expected).mean() < 1.5  # levels of 255
    assert np.abs(small[::-1] - expected).mean() > 20  # control


def test_a_jpeg_is_decoded_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photograph().save(tmp_path / "large.jpg")
    decoded: list[tuple[int, int]] = []
    real = data.upright

    def watched(image: Image.Image) -> Image.Image:
        decoded.append(image.size)
        return real(image)

    monkeypatch.setattr(album, "upright", watched)
    album.small(tmp_path / "large.jpg", 70)
    assert decoded == [(150, 100)]  # a quarter: an eighth would be too small


def test_a_small_photograph_keeps_every_byte(tmp_path: Path) -> None:
    photograph().save(tmp_path / "small.jpg")
    for short in (400, 900):
        assert np.array_equal(
            album.small(tmp_path / "small.jpg", short), decode(tmp_path / "small.jpg")
        )


def test_what_cannot_be_read_is_left_out_with_its_line(tmp_path: Path) -> None:
    folder, kept = tmp_path / "photographs", tmp_path / "kept"
    folder.mkdir()
    kept.mkdir()
    photograph().save(folder / "1.jpg")
    whole = (folder / "1.jpg").read_bytes()
    photograph().convert("RGBA").save(folder / "2.png")
    photograph().convert("CMYK").save(folder / "3.jpg")
    (folder / "4.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "5.jpg").write_text("no picture")
    photograph().convert("L").save(folder / "6.jpg")
    told: list[dict[str, Any] | None] = []
    found, pictures = album.read(
        find(str(folder), "train"),
        "mine",
        70,
        kept,
        lambda step, steps, record: told.append(record),
    )
    lines = [str(record["left_out"]) for record in told if record and "left_out" in record]
    assert [line.removeprefix(f"{folder}/").partition(";")[0][:17] for line in lines] == [
        "2.png: pixels of ", "3.jpg: pixels of ", "5.jpg: not a whol", "4.jpg: not a whol",
    ]  # fmt: skip
    assert all("\n" not in line for line in lines)
    assert [file.name for file in found.files] == ["1.jpg", "6.jpg"]
    for index, file in enumerate(found.files):
        assert np.array_equal(pictures[index], album.small(file, 70))


def test_what_it_takes_is_told_before_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, kept = tmp_path / "photographs", tmp_path / "kept"
    folder.mkdir()
    kept.mkdir()
    photograph().save(folder / "1.png")
    bytes_of = 3 * 70 * 105
    told: list[dict[str, Any] | None] = []

    def report(step: int, steps: int, record: dict[str, Any] | None) -> None:
        told.append(record)
        assert len(told) > 1 or list(kept.iterdir()) == []

    album.read(find(str(folder), "train"), "mine", 70, kept, report)
    assert told == [
        {"decoding": "mine", "caching": str(kept), "bytes": bytes_of},
        {"decoding": "mine"},
    ]
    assert (kept / "photographs").stat().st_size == bytes_of
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, bytes_of - 1))
    with pytest.raises(DataError, match=r"kept: .* cannot be kept \(0 MB, and 0 MB are free\)"):
        album.read(find(str(folder), "train"), "mine", 70, kept, None)
