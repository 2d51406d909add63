"""Pictures are written whole or not at all, and nothing is overwritten unasked."""

import errno
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import PictureError
from limner.picture import write_strips
from limner.picture.stream import StripStream

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (200, 300, 3), dtype=np.uint8)


def strips(pixels: np.ndarray, rows: int = 16) -> Iterator[np.ndarray]:
    for top in range(0, len(pixels), rows):
        yield pixels[top : top + rows]


def write(path: Path, pixels: np.ndarray = NOISE, rows: int = 16, overwrite: bool = False) -> None:
    height, width = pixels.shape[:2]
    write_strips(path, width, height, strips(pixels, rows), overwrite=overwrite)


@pytest.mark.parametrize("rows", [1, 7, 16, 1000])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 5000), (5000, 1), (200, 300), (17, 9000), (3, 70_000)]
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pixels_arrive(tmp_path: Path, suffix: str, shape: tuple[int, int], rows: int) -> None:
    pixels = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    write(tmp_path / f"a.{suffix}", pixels, rows)
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert np.array_equal(np.asarray(image), pixels)
    assert os.listdir(tmp_path) == [f"a.{suffix}"]


def test_jpeg_keeps_full_chroma_and_obeys_quality(tmp_path: Path) -> None:
    errors = {}
    for quality in (50, 95):
        write_strips(tmp_path / f"{quality}.jpg", 300, 200, strips(NOISE), quality=quality)
        with Image.open(tmp_path / f"{quality}.jpg") as image:
            factors = [component[1:3] for component in vars(image)["layer"]]
            errors[quality] = np.abs(np.asarray(image).astype(int) - NOISE).mean()
        assert factors == [(1, 1)] * 3
    assert errors[95] < 6 < errors[50]


def test_webp_and_a_format_that_the_name_does_not_say(tmp_path: Path) -> None:
    write(tmp_path / "a.webp", np.full((20, 30, 3), 90, np.uint8))
    with Image.open(tmp_path / "a.webp") as image:
        assert (image.format, image.size) == ("WEBP", (30, 20))
    write_strips(tmp_path / "b.jpg", 300, 200, strips(NOISE), "png")
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.format == "PNG"


def test_same_pixels_same_bytes(tmp_path: Path) -> None:
    for suffix in ("jpg", "png", "tif", "webp"):
        write(tmp_path / f"a.{suffix}")
        write(tmp_path / f"b.{suffix}", rows=33)
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_an_existing_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("precious")
    with pytest.raises(PictureError, match="exists already"):
        write(path)
    assert path.read_text() == "precious"
    write(path, overwrite=True)
    with Image.open(path) as image:
        assert image.size == (300, 200)


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.png"

    def slow() -> Iterator[np.ndarray]:
        yield NOISE[:100]
        path.write_text("precious")
        yield NOISE[100:]

    with pytest.raises(PictureError, match="exists already"):
        write_strips(path, 300, 200, slow())
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_file_that_appears_last_of_all_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last look and before the file gets its name."""
    path = tmp_path / "a.png"
    real = os.link

    def late(part: Path, target: Path) -> None:
        path.write_text("precious")
        real(part, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(PictureError, match="exists already"):
        write(path)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["a.png"]


def test_nothing_is_renamed_without_overwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Path, "replace")
    write(tmp_path / "a.png")
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(part: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    test_a_file_that_appears_meanwhile_stays(tmp_path)
    (tmp_path / "a.png").unlink()
    test_an_existing_file_stays(tmp_path)
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("name", ["missing/a.png", "file/a.png", "folder.png", 300 * "x" + ".png"])
def test_where_no_file_can_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(PictureError) as caught:
        write(tmp_path / name, overwrite=True)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt, PictureError("cut"), OSError(errno.EIO, "x")]
)
def test_nothing_half_written_is_left(
    tmp_path: Path, failure: BaseException | type[BaseException]
) -> None:
    (tmp_path / "a.jpg").write_text("precious")

    def broken() -> Iterator[np.ndarray]:
        yield NOISE[:100]
        raise failure

    expected = PictureError if isinstance(failure, Exception) else KeyboardInterrupt
    with pytest.raises(expected):
        write_strips(tmp_path / "a.jpg", 300, 200, broken(), overwrite=True)
    assert os.listdir(tmp_path) == ["a.jpg"]
    assert (tmp_path / "a.jpg").read_text() == "precious"


def test_an_interruption_does_not_wait_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()
    stop = StripStream.stop

    def stop_and_tell(stream: StripStream, error: BaseException) -> None:
        stop(stream, error)
        stopped.set()

    monkeypatch.setattr(StripStream, "stop", stop_and_tell)
    late = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal late
        yield NOISE
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        assert stopped.wait(60)
        for _ in range(1000):
            late += 1
            yield NOISE

    with pytest.raises(KeyboardInterrupt):
        write_strips(tmp_path / "a.jpg", 300, 200_000, endless(), "png")
    assert late <= 1
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device of Linux")
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    real = os.open

    def full(path: str | Path, flags: int, mode: int = 0o777) -> int:
        os.close(real(path, flags, mode))
        return real("/dev/full", os.O_RDWR)  # every write to it fails with ENOSPC

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(PictureError, match="cannot be written") as caught:
        write(tmp_path / f"a.{suffix}")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_strips_that_do_not_fit_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ended before"):
        write_strips(tmp_path / "a.png", 300, 500, strips(NOISE))
    with pytest.raises(ValueError, match="width"):
        write_strips(tmp_path / "a.png", 299, 200, strips(NOISE))
    assert os.listdir(tmp_path) == []


def test_settings_out_of_range(tmp_path: Path) -> None:
    for quality in (0, 101):
        with pytest.raises(PictureError, match="quality"):
            write_strips(tmp_path / "a.jpg", 300, 200, strips(NOISE), quality=quality)
    with pytest.raises(PictureError, match="gif"):
        write_strips(tmp_path / "a.jpg", 300, 200, strips(NOISE), "gif")
    with pytest.raises(PictureError, match="65,535"):
        write_strips(tmp_path / "a.jpg", 70_000, 1, iter([]))
