"""`check` names every kind of wrong pair by its file, and counts the classes of the others."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike
from PIL import Image

from limner.errors import DataError, SplitError
from limner.masks.check import Check, check, check_sides, class_counts, frequencies, matching
from limner.masks.labels import IGNORED, read_classes, voc_labels

WriteMask = Callable[[Path, ArrayLike], Path]
WritePicture = Callable[..., Path]
MakeKit = Callable[..., Path]


@pytest.fixture
def album(tmp_path: Path, write_picture: WritePicture, write_numbers: WriteMask) -> Path:
    """Two sound pairs of 4 x 3 pixels, `a` with cats and ignored pixels, `b` with dogs."""
    (tmp_path / "classes.txt").write_text("none 0 0 0\ncat 200 0 0\ndog 0 200 0\nfish 0 0 200\n")
    write_picture(tmp_path / "train" / "a.jpg")
    write_numbers(tmp_path / "train" / "a.png", [[0, 0, 1, 255], [1, 1, 1, 255], [0, 0, 0, 255]])
    write_picture(tmp_path / "train" / "b.jpg")
    write_numbers(tmp_path / "train" / "b.png", [[0, 2, 2, 2], [0, 2, 2, 2], [0, 2, 2, 2]])
    return tmp_path


def problem(album: Path, file: str) -> str:
    """The only problem of the set, which begins with that file; the sound pairs are counted."""
    found = check(str(album), "train")
    (line,) = found.problems
    assert line.startswith(f"{album / 'train' / file}: ")
    assert len(line.splitlines()) == 1
    sound = check_of_sound(album, found)
    assert (found.pairs, found.pixels.tolist()) == sound
    return line


def check_of_sound(album: Path, found: Check) -> tuple[int, list[int]]:
    """What the two sound pairs come to, as far as they still are."""
    names = {Path(line.partition(": ")[0]).stem for line in found.problems}
    counts = {"a": np.array([5, 4, 0, 0]), "b": np.array([3, 0, 9, 0])}
    kept = [count for name, count in counts.items() if name not in names]
    return len(kept), np.sum(kept, axis=0).tolist()


def test_a_sound_set_is_counted(album: Path) -> None:
    told: list[tuple[int, int]] = []
    found = check(str(album), "train", lambda done, total: told.append((done, total)))
    assert found.problems == []
    assert (found.split, found.pairs, found.ignored) == ("train", 2, 3)
    assert found.labels.names == ("none", "cat", "dog", "fish")
    assert found.pixels.tolist() == [8, 4, 9, 0]  # fish: a class never seen
    assert found.pictures.tolist() == [2, 1, 1, 0]
    assert told == [(1, 2), (2, 2)]


def test_a_development_kit_is_checked(tmp_path: Path, kit: MakeKit) -> None:
    found = check(str(kit(tmp_path / "root")), "train")
    assert found.problems == []
    assert found.labels == voc_labels()
    assert found.pixels[:3].tolist() == [12, 12, 0]


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_pictures_are_pictures(album: Path, write_picture: WritePicture, mode: str) -> None:
    (album / "train" / "a.jpg").unlink()
    write_picture(album / "train" / "a.tif", mode)
    assert check(str(album), "train").problems == []


def test_a_missing_mask(album: Path) -> None:
    (album / "train" / "b.png").unlink()
    assert "missing; add the mask of b.jpg" in problem(album, "b.png")


def test_a_mask_without_a_picture(album: Path, write_numbers: WriteMask) -> None:
    write_numbers(album / "train" / "c.png", 0)
    assert "without a picture" in problem(album, "c.png")


@pytest.mark.parametrize("shape", [(4, 3), (3, 5), (2, 4), (1, 12)])
def test_a_mask_of_another_size(
    album: Path, write_numbers: WriteMask, shape: tuple[int, int]
) -> None:
    write_numbers(album / "train" / "b.png", np.zeros(shape))
    line = problem(album, "b.png")
    assert f"{shape[1]} x {shape[0]} pixels" in line
    assert "4 x 3" in line


def test_the_mask_of_a_turned_picture_is_upright(album: Path, write_numbers: WriteMask) -> None:
    image = Image.new("RGB", (4, 3))
    exif = image.getexif()
    exif[0x0112] = 6  # turn by a quarter: 3 x 4 when it is upright
    image.save(album / "train" / "b.jpg", exif=exif)
    assert "its picture 3 x 4" in problem(album, "b.png")
    write_numbers(album / "train" / "b.png", np.zeros((4, 3)))
    assert check(str(album), "train").problems == []


def test_a_mask_of_unknown_classes(album: Path, write_numbers: WriteMask) -> None:
    write_numbers(album / "train" / "b.png", 4)
    assert "class 4 at 12 pixels" in problem(album, "b.png")


def test_a_mask_of_unknown_colors(album: Path) -> None:
    Image.new("RGB", (4, 3), (1, 2, 3)).save(album / "train" / "b.png")
    assert "(1, 2, 3) at column 0, row 0" in problem(album, "b.png")


def test_a_16_bit_mask_of_large_numbers(album: Path) -> None:
    Image.fromarray(np.full((3, 4), 1000, np.uint16)).save(album / "train" / "b.png")
    assert "class 1000" in problem(album, "b.png")


def test_a_mask_that_ignores_all_pixels(album: Path, write_numbers: WriteMask) -> None:
    write_numbers(album / "train" / "b.png", IGNORED)
    assert "ignores all pixels" in problem(album, "b.png")


@pytest.mark.parametrize("file", ["b.png", "b.jpg"])
@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_damaged_file(album: Path, file: str, content: bytes) -> None:
    (album / "train" / file).write_bytes(content)
    problem(album, file)


def test_a_photograph_whose_last_rows_are_missing(album: Path, write_numbers: WriteMask) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 400, 3), np.uint8)
    Image.fromarray(noise).save(album / "train" / "b.jpg")
    write_numbers(album / "train" / "b.png", np.zeros((600, 400)))
    assert check(str(album), "train").problems == []
    content = (album / "train" / "b.jpg").read_bytes()
    (album / "train" / "b.jpg").write_bytes(content[: len(content) * 99 // 100])
    assert "cut short or damaged" in problem(album, "b.jpg")


def test_a_mask_cut_short(album: Path) -> None:
    content = (album / "train" / "b.png").read_bytes()
    (album / "train" / "b.png").write_bytes(content[:-30])
    assert "no mask can be read" in problem(album, "b.png")


def test_a_class_list_that_is_too_short_is_every_masks_problem(album: Path) -> None:
    (album / "classes.txt").write_text("none\n")
    found = check(str(album), "train")
    assert (len(found.problems), found.pairs) == (2, 0)
    assert found.pixels.tolist() == [0]
    assert "name all classes in classes.txt" in found.problems[0]


def test_what_is_wrong_with_the_whole_set_is_raised(album: Path) -> None:
    with pytest.raises(SplitError, match="no split 'val'"):
        check(str(album), "val")
    (album / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"no classes\.txt"):
        check(str(album), "train")
    with pytest.raises(DataError, match="no folder of that name"):
        check(str(album / "gone"), "train")


def test_a_matching_mask_is_returned(album: Path) -> None:
    labels = read_classes(album / "classes.txt")
    mask = matching(album / "train" / "a.jpg", album / "train" / "a.png", labels)
    assert mask.tolist() == [[0, 0, 1, 255], [1, 1, 1, 255], [0, 0, 0, 255]]


def test_sides_are_checked(tmp_path: Path) -> None:
    mask = np.zeros((3, 4), np.uint8)
    check_sides(tmp_path, mask, 3, 4)
    with pytest.raises(DataError, match="4 x 3 pixels"):
        check_sides(tmp_path, mask, 4, 3)


@pytest.mark.parametrize("K", [1, 21, 255])
def test_class_counts_are_numpys(K: int) -> None:
    numbers = np.append(np.arange(K), IGNORED)
    mask = np.random.default_rng(K).choice(numbers, (40, 50)).astype(np.uint8)
    counts = class_counts(mask, K)
    assert counts.dtype == np.int64
    assert counts.tolist() == [int((mask == number).sum()) for number in numbers]


def test_frequencies_are_those_of_all_masks() -> None:
    masks = np.random.default_rng(0).choice([0, 1, 2, IGNORED], (5, 6, 7)).astype(np.uint8)
    expected = [int((masks == number).sum()) for number in range(4)]
    assert frequencies(iter(masks), 4).tolist() == expected
    assert frequencies(iter([]), 2).tolist() == [0, 0]
