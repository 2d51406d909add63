"""Labels: VOC's colors as published, and every way to write a classes.txt."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import DataError
from limner.masks.labels import (
    IGNORED,
    MOST,
    VOC_BORDER,
    foreground,
    read_classes,
    voc_colors,
    voc_labels,
)

# The development kit's table (Everingham et al. 2012), as its masks' palettes hold it.
PUBLISHED = {
    "background": (0, 0, 0), "aeroplane": (128, 0, 0), "bicycle": (0, 128, 0),
    "bird": (128, 128, 0), "boat": (0, 0, 128), "bottle": (128, 0, 128), "bus": (0, 128, 128),
    "car": (128, 128, 128), "cat": (64, 0, 0), "chair": (192, 0, 0), "cow": (64, 128, 0),
    "diningtable": (192, 128, 0), "dog": (64, 0, 128), "horse": (192, 0, 128),
    "motorbike": (64, 128, 128), "person": (192, 128, 128), "pottedplant": (0, 64, 0),
    "sheep": (128, 64, 0), "sofa": (0, 192, 0), "train": (128, 192, 0), "tvmonitor": (0, 64, 128),
}  # fmt: skip
MASK = Path(__file__).parents[2] / "data" / "voc" / "train" / "2007_000032.png"


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "classes.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path) -> str:
    """The one line that says why."""
    with pytest.raises(DataError) as error:
        read_classes(path)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message
    return message


# PASCAL VOC


def test_vocs_labels_are_the_published_ones() -> None:
    labels = voc_labels()
    shown = dict(zip(labels.names, map(tuple, labels.swatches().tolist()), strict=True))
    assert list(shown.items()) == list(PUBLISHED.items())  # in this order
    assert labels.names[15] == "person"


def test_vocs_colors_tell_all_256_numbers_apart() -> None:
    colors = voc_colors(256)
    assert colors.dtype == np.float32
    assert len(np.unique(colors, axis=0)) == 256
    assert tuple(colors[IGNORED]) == VOC_BORDER == (224, 224, 192)
    assert np.array_equal(voc_colors(21), colors[:21])


@pytest.mark.data
@pytest.mark.skipif(not MASK.is_file(), reason="needs data/voc: run `make data`")
def test_vocs_colors_are_those_of_vocs_own_files() -> None:
    with Image.open(MASK) as image:
        assert image.mode == "P"
        palette = image.getpalette()
    assert palette is not None
    theirs = np.array(palette).reshape(-1, 3)
    assert len(theirs) >= 21
    np.testing.assert_array_equal(voc_colors(len(theirs))[:21], theirs[:21])


# classes.txt


def test_names_alone_take_vocs_colors(tmp_path: Path) -> None:
    labels = read_classes(written(tmp_path, "sky\nroad\npotted plant\n"))
    assert labels.names == ("sky", "road", "potted plant")
    assert labels.space == "rgb"
    np.testing.assert_array_equal(labels.colors, voc_colors(3))


def test_names_with_colors_keep_them(tmp_path: Path) -> None:
    labels = read_classes(
        written(tmp_path, "sky 128 128 128\npotted plant 0 255 7\nroute 66 1 2 3")
    )
    assert labels.names == ("sky", "potted plant", "route 66")
    assert labels.swatches().tolist() == [[128, 128, 128], [0, 255, 7], [1, 2, 3]]


@pytest.mark.parametrize(
    "content",
    [
        "cat 1 2 3\r\ndog 4 5 6\r\n",
        b"\xef\xbb\xbfcat 1 2 3\ndog 4 5 6",
        b"\xef\xbb\xbfcat 1 2 3\r\ndog 4 5 6\r\n",
        "# animals\n\n  cat 1  2\t3  \n\n#bird 7 8 9\ndog\t4 5 6\n\n",
    ],
)
def test_every_editor_writes_the_same_labels(tmp_path: Path, content: str | bytes) -> None:
    labels = read_classes(written(tmp_path, content))
    assert labels.names == ("cat", "dog")
    assert labels.colors.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_names_of_any_script_are_read(tmp_path: Path) -> None:
    assert read_classes(written(tmp_path, "Bäume\n空 1\n")).names == ("Bäume", "空 1")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "0 classes"),
        ("\n \r\n# nothing\n", "0 classes"),
        ("cat 0 0 0\ndog\n", "'dog' has no color"),
        ("cat\ndog 0 0 0\n", "'cat' has no color"),
        ("cat 0 0 0\ndog 0 256 0\n", "line 2: 'dog 0 256 0'"),
        ("cat\ndog\ncat\n", "a name stands twice"),
        ("cat 9 9 9\ndog 9 9 9\n", "the same color stands twice"),
        ("cat\n".encode("utf-16"), "UTF-8"),
        ("\n".join(map(str, range(MOST + 1))), "256 classes"),
    ],
)
def test_a_wrong_classes_file_is_named(tmp_path: Path, content: str | bytes, says: str) -> None:
    assert says in refused(written(tmp_path, content))


def test_as_many_classes_as_a_byte_holds_beside_ignored(tmp_path: Path) -> None:
    labels = read_classes(written(tmp_path, "\n".join(f"class{n}" for n in range(MOST))))
    assert len(labels) == IGNORED == 255


def test_a_classes_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "classes.txt")
    assert "Is a directory" in refused(tmp_path)


# Foreground


def test_without_a_foreground_nothing_changes() -> None:
    labels, table = foreground(voc_labels(), ())
    assert labels == voc_labels()
    np.testing.assert_array_equal(table, np.arange(256))


def test_the_foreground_is_one_class_against_all_others() -> None:
    labels, table = foreground(voc_labels(), ("cat", "dog"))
    assert labels.names == ("background", "cat+dog")
    assert table.dtype == np.uint8
    mask = np.array([[0, 8, 12], [15, 20, IGNORED]], np.uint8)  # cat 8, dog 12
    assert table[mask].tolist() == [[0, 1, 1], [0, 0, IGNORED]]


def test_labels_that_are_a_foregrounds_already_stay(tmp_path: Path) -> None:
    for names in (("cat", "dog"), ("cat",)):
        made = foreground(voc_labels(), names)[0]
        own = read_classes(written(tmp_path, f"background 9 9 9\n{'+'.join(names)} 0 0 200\n"))
        labels, table = foreground(own, names)
        assert labels == made
        assert table[[0, 1, IGNORED]].tolist() == [0, 1, IGNORED]
    with pytest.raises(DataError, match=r"no class 'dog'; the classes are background, cat$"):
        foreground(own, ("cat", "dog"))


def test_the_first_class_may_be_the_foreground(tmp_path: Path) -> None:
    labels, table = foreground(read_classes(written(tmp_path, "sky\nroad\ncar\n")), ("sky",))
    assert labels.names == ("background", "sky")
    assert table[[0, 1, 2, IGNORED]].tolist() == [1, 0, 0, IGNORED]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("cat", "cow boy"), "no class 'cow boy'"),
        (("Cat",), "no class 'Cat'"),
        (("",), "no class ''"),
        (("background",), "'background' is all that is not named"),
    ],
)
def test_an_unknown_foreground_lists_the_classes(names: tuple[str, ...], says: str) -> None:
    with pytest.raises(DataError, match=says) as error:
        foreground(voc_labels(), names)
    assert len(str(error.value).splitlines()) == 1
    assert ("tvmonitor" in str(error.value)) == ("no class" in says)
