"""Pictures are decoded once, as libvips decodes them, and only what learning understands."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray
from PIL import Image

from limner.dataset import Dataset, find
from limner.errors import DataError
from limner.learn.loading import data
from limner.picture import read_rgb

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
SETS = Path(__file__).parents[3] / "data"
Count = Callable[[], int]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "limner"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Count:
    """How many files were decoded since the test began."""
    seen: list[Path] = []
    real = data.decode

    def counting(path: Path) -> NDArray[np.uint8]:
        seen.append(path)
        return real(path)

    monkeypatch.setattr(data, "decode", counting)
    return lambda: len(seen)


def refused(path: Path) -> str:
    """The one line that says why."""
    with pytest.raises(DataError) as error:
        data.decode(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return message


# The cache


def test_a_passing_folder_goes_with_what_it_holds(cache: Path) -> None:
    with data.passing_folder("album") as folder:
        assert folder.parent == cache
        (folder / "kept").write_bytes(b"pixels")
    with pytest.raises(KeyboardInterrupt), data.passing_folder("album") as folder:
        (folder / "kept").write_bytes(b"pixels")
        raise KeyboardInterrupt
    assert list(cache.iterdir()) == []
    cache.rmdir()
    cache.write_text("in the way")
    with pytest.raises(DataError, match=r"limner: the cache cannot be written .* XDG_CACHE_HOME"):
        data.passing_folder("album").__enter__()


def test_pictures_come_back_as_they_were_decoded(cache: Path) -> None:
    dataset = find("sample", "train")
    pictures = data.load(dataset)
    assert len(pictures) == 4
    for index, file in enumerate(dataset.files):
        assert np.array_equal(pictures[index], data.decode(file))
    assert pictures.sides.tolist() == [[128, 128], [128, 128], [96, 144], [128, 72]]
    assert isinstance(pictures.pixels, np.memmap)
    few = pictures.take(np.array([3, 0]))
    assert np.array_equal(few[0], pictures[3])
    assert np.array_equal(few[1], pictures[0])
    assert np.shares_memory(few.pixels, pictures.pixels)


def test_a_second_load_decodes_nothing(cache: Path, decoded: Count) -> None:
    first = data.load(find("sample", "train"))
    assert decoded() == 4
    second = data.load(find("sample", "train"))
    assert decoded() == 4
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.sides, second.sides)


def test_the_cache_is_keyed_by_content(cache: Path, tmp_path: Path, decoded: Count) -> None:
    copy = shutil.copytree(SAMPLE / "train", tmp_path / "copy")
    data.load(find("sample", "train"))
    data.load(find(str(copy), "train"))
    assert decoded() == 4  # the same pictures elsewhere
    shutil.copy(SAMPLE / "val" / "flag.png", copy / "cat.png")  # under the old name
    pictures = data.load(find(str(copy), "train"))
    assert decoded() == 8
    assert np.array_equal(pictures[1], data.decode(SAMPLE / "val" / "flag.png"))


def test_pictures_kept_in_another_format_are_decoded_again(
    cache: Path, decoded: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.load(find("sample", "train"))
    monkeypatch.setattr(data, "FORMAT", data.FORMAT + 1)
    data.load(find("sample", "train"))
    assert decoded() == 8


def test_records_need_no_cache(cache: Path, decoded: Count) -> None:
    dataset = find("cifar10", "train")
    pictures = data.load(dataset)
    assert dataset.images is not None
    assert len(pictures) == 31
    assert np.array_equal(pictures[30], dataset.images[30])
    assert decoded() == 0
    assert not cache.exists()


class Killed(BaseException):
    """Nothing in the code may catch it, as nothing can catch a kill."""


@pytest.mark.parametrize("deadly", [1, 2])
def test_a_half_made_cache_is_never_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, decoded: Count, deadly: int
) -> None:
    """Killed before each of the two renames."""
    dataset = find("sample", "train")
    real, renames = Path.replace, 0

    def dies(self: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        if renames == deadly:
            raise Killed
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        with pytest.raises(Killed):
            data.load(dataset)
    assert decoded() == 4
    pictures = data.load(dataset)
    assert decoded() == 8
    for index, file in enumerate(dataset.files):
        assert np.array_equal(pictures[index], data.decode(file))


def test_a_cache_killed_while_it_is_made_leaves_nothing(cache: Path) -> None:
    def interrupts(done: int, total: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        data.load(find("sample", "train"), interrupts)
    assert list(cache.iterdir()) == []
    assert len(data.load(find("sample", "train"))) == 4


def test_a_cache_that_lost_a_file_is_made_again(cache: Path) -> None:
    dataset = find("sample", "train")
    first = np.array(data.load(dataset).pixels)
    for suffix in (".pixels", ".sides.npy"):
        next(cache.glob(f"*{suffix}")).unlink()
        assert np.array_equal(data.load(dataset).pixels, first)


def test_decoding_reports_how_far_it_is(cache: Path) -> None:
    calls: list[tuple[int, int]] = []
    data.load(find("sample", "train"), lambda done, total: calls.append((done, total)))
    assert calls[-1] == (4, 4)


def test_a_bad_picture_stops_the_load_and_leaves_no_cache(cache: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(SAMPLE / "train", tmp_path / "copy")
    (folder / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"bad\.jpg"):
        data.load(find(str(folder), "train"))
    assert list(cache.iterdir()) == []
    (folder / "bad.jpg").unlink()
    assert len(data.load(find(str(folder), "train"))) == 4


def test_a_cache_that_cannot_be_written_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"XDG_CACHE_HOME") as error:
        data.load(find("sample", "train"))
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_went_away_is_named(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg") as error:
        data.load(Dataset("mine", "whole", (tmp_path / "gone.jpg",)))
    assert len(str(error.value).splitlines()) == 1


# Sampling


def test_pixels_are_drawn_evenly_and_without_replacement(tmp_path: Path) -> None:
    """Every pixel holds its own number; all of them drawn, each comes once."""
    counter = np.arange(300 * 3, dtype=np.uint16)
    first, second = counter[: 200 * 3] % 251, counter[200 * 3 :] % 251
    pictures = data.Pictures(
        np.concatenate([first, second]).astype(np.uint8),
        np.array([[20, 10], [4, 25]]),
        np.array([0, 600]),
    )
    every = data.sample(pictures, 10_000, seed=0)
    assert np.array_equal(every, pictures.pixels.reshape(-1, 3))
    some = data.sample(pictures, 30, seed=0)
    assert some.shape == (30, 3)
    assert some.dtype == np.uint8
    assert np.array_equal(some, data.sample(pictures, 30, seed=0))
    assert not np.array_equal(some, data.sample(pictures, 30, seed=1))
    known = {tuple(pixel) for pixel in every.tolist()}
    assert {tuple(pixel) for pixel in some.tolist()} <= known
    taken = data.sample(pictures.take(np.array([1])), 10_000, seed=0)
    assert np.array_equal(taken, every[200:])
    bright = np.concatenate([np.zeros(600, np.uint8), np.full(300, 9, np.uint8)])
    drawn = data.sample(data.Pictures(bright, pictures.sides, pictures.starts), 150, seed=3)
    assert 30 < (drawn[:, 0] == 9).sum() < 70  # 100 of 300 pixels: 50 expected, deviation 4


def test_a_sets_pixels_are_those_of_its_pictures() -> None:
    dataset = find("cifar10", "train")
    drawn = data.sample_pixels(dataset, 10**6, seed=0)
    assert dataset.images is not None
    assert np.array_equal(drawn, dataset.images.reshape(-1, 3))


# Decoding


@pytest.mark.parametrize(
    "file", sorted(SAMPLE.rglob("*.*")), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_pillow_and_libvips_decode_the_same_pixels(file: Path) -> None:
    assert np.array_equal(data.decode(file), read_rgb(file))


def photographs() -> list[Path]:
    """136 pictures of the data sets, spread evenly over each."""
    chosen: list[Path] = []
    for folder, n in (("photos/val", 50), ("early/val", 30), ("voc/val", 40), ("historical", 16)):
        files = sorted(f for f in (SETS / folder).glob("*.*") if f.suffix in (".webp", ".jpg"))
        chosen += [files[i * len(files) // n] for i in range(n)]
    return chosen


@pytest.mark.data
@pytest.mark.skipif(not (SETS / "historical").is_dir(), reason="needs data/: run `make data`")
def test_pillow_and_libvips_decode_the_same_pixels_of_many_photographs() -> None:
    files = photographs()
    assert len(set(files)) == 136
    different = [file for file in files if not np.array_equal(data.decode(file), read_rgb(file))]
    assert different == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_grey_is_fine(tmp_path: Path, suffix: str) -> None:
    light = np.arange(12 * 9, dtype=np.uint8).reshape(12, 9) * 2
    file = tmp_path / f"grey{suffix}"
    Image.fromarray(light).save(file)
    rgb = data.decode(file)
    assert rgb.shape == (12, 9, 3)
    assert (rgb == rgb[..., :1]).all()
    assert np.array_equal(rgb, read_rgb(file))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(tmp_path: Path, orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "turned.jpg"
    Image.fromarray(pixels).save(file, exif=exif, quality=95)
    rgb = data.decode(file)
    assert rgb.shape == ((9, 6, 3) if orientation > 4 else (6, 9, 3))
    assert np.array_equal(rgb, read_rgb(file))


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("RGBA", "a.png"), ("RGBA", "a.webp"), ("LA", "a.png"), ("P", "a.png"), ("1", "a.png"),
        ("CMYK", "a.jpg"), ("CMYK", "a.tif"), ("I;16", "a.png"), ("I;16", "a.tif"),
        ("F", "a.tif"), ("LAB", "a.tif"),
    ],
)  # fmt: skip
def test_other_kinds_are_refused_by_name(tmp_path: Path, mode: str, name: str) -> None:
    picture = Image.new(mode, (8, 8))
    if mode == "RGBA":
        picture.putpixel((3, 3), (255, 0, 0, 7))  # an encoder may drop an alpha that says nothing
    picture.save(tmp_path / name)
    assert mode in refused(tmp_path / name)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_16_bits_are_refused_never_reduced(
    tmp_path: Path, bands: int, suffix: str, compression: str
) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (8, 8, bands)).astype(np.uint16)
    kind = "rgb16" if bands == 3 else "grey16"
    image = pyvips.Image.new_from_array(pixels, interpretation=kind)
    options = {"compression": compression} if suffix == ".tif" else {}
    image.write_to_file(str(tmp_path / f"deep{suffix}"), **options)
    assert "16" in refused(tmp_path / f"deep{suffix}")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_color_is_refused(tmp_path: Path, mode: str) -> None:
    """PNG's other alpha: one color of the picture is transparent (its tRNS chunk)."""
    clear = 0 if mode == "L" else (0, 0, 0)
    Image.new(mode, (8, 8)).save(tmp_path / "clear.png", transparency=clear)
    assert "transparen" in refused(tmp_path / "clear.png")


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("name", ["train/astronaut.jpg", "train/cat.png", "train/coffee.webp"])
def test_a_picture_cut_short_is_refused(tmp_path: Path, name: str, share: float) -> None:
    whole = (SAMPLE / name).read_bytes()
    file = tmp_path / Path(name).name
    file.write_bytes(whole[: int(len(whole) * share)])
    assert "not a whole picture" in refused(file)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # before it fails, Pillow warns
def test_a_tiff_cut_short_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cut.tif"
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate"):
        pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(file, compression=compression)
        whole = file.read_bytes()
        for share in (0.01, 0.5, 0.95):
            file.write_bytes(whole[: int(len(whole) * share)])
            refused(file)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    for name, content in (("empty.jpg", b""), ("text.png", b"a text" * 100)):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
    refused(tmp_path / "gone.jpg")
    (tmp_path / "folder.jpg").mkdir()
    refused(tmp_path / "folder.jpg")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (50, 50)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "too large" in refused(tmp_path / "bomb.png")
