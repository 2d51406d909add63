"""The plan of a batch: what goes where, and what is refused before any work."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.batch.plan import ColorJob, make_folders, plan, plan_segments
from limner.errors import LimnerError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: album/{b.JPG,a.png,.hidden.jpg,notes.txt,1942/a.png}, attic/a.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.JPG", "a.png", ".hidden.jpg", "notes.txt", "1942/a.png"):
        path = Path("album") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    Path("attic").mkdir()
    Path("attic/a.png").touch()
    return tmp_path


def names(jobs: list[ColorJob]) -> list[tuple[str, str]]:
    return [(str(job.input), str(job.output)) for job in jobs]


def planned(*inputs: str, output: str = "out", **options: object) -> list[tuple[str, str]]:
    return names(plan([Path(path) for path in inputs], Path(output), **options))  # type: ignore[arg-type]


def refused(*inputs: str, output: str = "out", **options: object) -> str:
    with pytest.raises(LimnerError) as caught:
        planned(*inputs, output=output, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_picture_goes_into_a_folder_under_its_name(here: Path) -> None:
    assert planned("album/b.JPG") == [("album/b.JPG", "out/b.JPG")]


def test_one_picture_goes_into_a_file(here: Path) -> None:
    assert planned("album/b.JPG", output="x/new.png") == [("album/b.JPG", "x/new.png")]
    assert planned("album/b.JPG", output="album/new.png") == [("album/b.JPG", "album/new.png")]


def test_a_folder_that_looks_like_a_file_is_a_folder(here: Path) -> None:
    Path("out.jpg").mkdir()
    assert planned("album/a.png", output="out.jpg") == [("album/a.png", "out.jpg/a.png")]


def test_a_folder_is_its_pictures_in_name_order(here: Path) -> None:
    assert planned("album") == [("album/a.png", "out/a.png"), ("album/b.JPG", "out/b.JPG")]


def test_recursive_keeps_the_structure(here: Path) -> None:
    assert planned("album", recursive=True) == [
        ("album/1942/a.png", "out/1942/a.png"),
        ("album/a.png", "out/a.png"),
        ("album/b.JPG", "out/b.JPG"),
    ]


def test_every_ending_is_found_in_any_case_and_no_other(here: Path) -> None:
    folder = Path("kinds")
    folder.mkdir()
    kinds = ("jpg", "jpeg", "png", "tif", "tiff", "webp")
    for kind in (*kinds, *(kind.upper() for kind in kinds), "gif", "txt", "bmp"):
        (folder / f"{kind}.{kind}").touch()
    found = {Path(path).name for path, _ in planned("kinds")}
    assert found == {f"{kind}.{kind}" for kind in (*kinds, *(kind.upper() for kind in kinds))}


def test_a_format_changes_the_ending_only_where_it_must(here: Path) -> None:
    assert planned("album", format="jpeg") == [
        ("album/a.png", "out/a.jpg"),
        ("album/b.JPG", "out/b.JPG"),
    ]
    assert planned("album/b.JPG", format="tiff") == [("album/b.JPG", "out/b.tif")]


def test_a_missing_picture_is_a_job_as_well(here: Path) -> None:
    assert planned("album/a.png", "gone.jpg")[1] == ("gone.jpg", "out/gone.jpg")


def test_pictures_beside_the_result(here: Path) -> None:
    (job,) = plan([Path("album/b.JPG")], Path("out"), certainty=True, compare=True)
    assert job.certainty == Path("out/b.certainty.png")
    assert job.compare == Path("out/b.compare.png")
    assert len(job.targets()) == 3
    assert plan([Path("album/b.JPG")], Path("out"))[0].targets() == (Path("out/b.JPG"),)


def test_two_inputs_for_one_file_are_refused(here: Path) -> None:
    assert "album/a.png" in refused("album", "attic")
    assert "attic/a.png" in refused("album", "attic")
    assert "out/a.png" in refused("album/a.png", "album/a.png")
    Path("attic/a.jpg").touch()
    assert len(planned("attic")) == 2
    assert "out/a.jpg" in refused("attic", format="jpeg")


def test_two_inputs_for_one_file_are_refused_beside_the_result_too(here: Path) -> None:
    Path("attic/b.png").touch()
    assert len(planned("album/b.JPG", "attic/b.png")) == 2
    assert "b.certainty.png" in refused("album/b.JPG", "attic/b.png", certainty=True)
    Path("attic/b.compare.png").touch()
    assert "b.compare.png" in refused("attic", compare=True)


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ("album", "album"),
        ("album", "./attic/../album"),
        ("album", "link"),
        ("link", "album"),
        ("album/a.png", "album"),
        ("link/a.png", "album"),
    ],
)
def test_the_inputs_own_folder_is_refused(given: str, output: str, here: Path) -> None:
    Path("link").symlink_to("album")
    assert "folder of the input" in refused(given, output=output)
    assert "folder of the input" in refused(given, output=str(here / output))


def test_the_folder_of_any_input_is_refused(here: Path) -> None:
    assert "attic" in refused("album/b.JPG", "attic/a.png", output="attic")


def test_a_result_beside_a_nested_input_is_refused(here: Path) -> None:
    Path("out").mkdir()
    Path("out/1942").symlink_to(here / "album" / "1942")
    assert "folder of the input" in refused("album", recursive=True)
    assert len(planned("album")) == 2


def test_results_among_what_recursion_reads_are_refused(here: Path) -> None:
    assert "--recursive" in refused("album", output="album/colorized", recursive=True)
    assert len(planned("album", output="album/colorized")) == 2


def test_the_input_itself_is_refused_as_output(here: Path) -> None:
    Path("same.png").symlink_to("album/a.png")
    for output in ("album/a.png", "album/../album/a.png", "same.png"):
        assert "the input itself" in refused("album/a.png", output=output)


@pytest.mark.parametrize("option", ["compare", "certainty"])
@pytest.mark.parametrize("spelling", ["x.png", "../{here}/x.png", "link/x.png"])
def test_what_lies_beside_the_result_is_never_an_input(
    option: str, spelling: str, here: Path
) -> None:
    Path("link").symlink_to(".")
    photo = f"x.{option}.png"
    Path(photo).touch()
    output = spelling.format(here=here.name)
    assert f"over the input {photo}" in refused(photo, output=output, **{option: True})
    assert planned(photo, output=output) == [(photo, output)]


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_link_to_an_input_is_never_a_target(link: Callable[..., None], here: Path) -> None:
    Path("out").mkdir()
    link(Path("out/b.compare.png"), here / "album/a.png")
    assert "over the input album/a.png" in refused("album", compare=True)
    assert len(planned("album")) == 2


def test_a_picture_with_an_impossible_name_is_a_job_as_well(here: Path) -> None:
    name = 300 * "x" + ".png"
    assert planned(name) == [(name, f"out/{name}")]
    assert planned(name, "album/a.png")[1] == ("album/a.png", "out/a.png")
    assert planned("album/a.png", output=name) == [("album/a.png", name)]
    assert planned("album", output=300 * "x")[0] == ("album/a.png", f"{300 * 'x'}/a.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_picture_in_a_closed_folder_is_a_job_as_well(here: Path) -> None:
    Path("attic").chmod(0)
    try:
        assert planned("attic/a.png", "album/a.png", recursive=True)[0][0] == "attic/a.png"
    finally:
        Path("attic").chmod(0o700)


def test_a_stat_that_fails_spoils_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a folder that is closed to us, which root cannot have."""
    real = os.stat

    def closed(path: object, *args: object, **options: object) -> os.stat_result:
        if str(path).startswith("attic/"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", closed)
    assert planned("attic/b.png", "album/a.png", recursive=True)[0] == ("attic/b.png", "out/b.png")


@pytest.mark.parametrize(
    ("inputs", "output", "says"),
    [
        (("album", "attic/a.png"), "one.jpg", "several pictures"),
        (("album",), "notes", "several pictures"),
        (("attic/a.png",), "x.bmp", "ending"),
        (("attic/a.png",), "notes", "ending"),
        (("empty",), "out", "no picture"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    inputs: tuple[str, ...], output: str, says: str, here: Path
) -> None:
    Path("empty").mkdir()
    Path("notes").touch()
    assert says in refused(*inputs, output=output)


def test_a_file_of_another_format_than_asked_is_refused(here: Path) -> None:
    assert ".png" in refused("attic/a.png", output="x.jpg", format="png")


def test_a_folder_of_folders_asks_for_recursive(here: Path) -> None:
    Path("boxes/one").mkdir(parents=True)
    Path("boxes/one/a.jpg").touch()
    assert "--recursive" in refused("boxes")
    assert planned("boxes", recursive=True) == [("boxes/one/a.jpg", "out/one/a.jpg")]


def test_links_to_folders_are_not_followed(here: Path) -> None:
    Path("album/loop").symlink_to(here / "album")
    assert len(planned("album", recursive=True)) == 3


def test_an_unreadable_folder_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", forbid)
    assert "album: cannot be read (Permission denied)" in refused("album")


def test_folders_are_made(here: Path) -> None:
    make_folders(plan([Path("album")], Path("out"), recursive=True))
    assert Path("out/1942").is_dir()


def test_a_folder_that_cannot_be_made_is_refused(here: Path) -> None:
    with pytest.raises(LimnerError, match="cannot be made"):
        make_folders([ColorJob(Path("attic/a.png"), Path("attic/a.png/out/a.png"))])


def test_a_folder_that_cannot_be_written_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limner.batch.plan.os.access", lambda path, mode: False)
    with pytest.raises(LimnerError, match="out: cannot be written to"):
        make_folders(plan([Path("album")], Path("out")))


def segments(*inputs: str, output: str = "out", recursive: bool = False) -> list[tuple[str, ...]]:
    jobs = plan_segments([Path(path) for path in inputs], Path(output), recursive=recursive)
    assert all(job.targets() == (job.overlay, job.mask) for job in jobs)
    return [(str(job.input), *map(str, job.targets())) for job in jobs]


def segments_refused(*inputs: str, output: str = "out", recursive: bool = False) -> str:
    with pytest.raises(LimnerError) as caught:
        segments(*inputs, output=output, recursive=recursive)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_two_files_go_out_for_each_picture_to_segment(here: Path) -> None:
    assert segments("album/b.JPG") == [("album/b.JPG", "out/b.overlay.png", "out/b.mask.png")]
    assert segments("album", "gone.jpg", recursive=True) == [
        ("album/1942/a.png", "out/1942/a.overlay.png", "out/1942/a.mask.png"),
        ("album/a.png", "out/a.overlay.png", "out/a.mask.png"),
        ("album/b.JPG", "out/b.overlay.png", "out/b.mask.png"),
        ("gone.jpg", "out/gone.overlay.png", "out/gone.mask.png"),
    ]
    make_folders(plan_segments([Path("album")], Path("out"), recursive=True))
    assert Path("out/1942").is_dir()


def test_two_pictures_of_one_stem_are_refused_to_segment(here: Path) -> None:
    Path("attic/a.jpg").touch()
    Path("attic/a.webp").touch()
    said = segments_refused("attic")
    assert "out/a.overlay.png" in said
    assert "attic/a.jpg" in said and "attic/a.webp" in said
    assert len(planned("attic")) == 3  # to color they are results of their own


def test_a_mask_beside_its_picture_is_not_segmented(here: Path) -> None:
    Path("attic/a.jpg").touch()
    assert segments("attic") == [("attic/a.jpg", "out/a.overlay.png", "out/a.mask.png")]


@pytest.mark.parametrize("others", [("attic/a.jpg",), ("attic",)])
def test_a_png_that_is_named_is_not_taken_for_a_mask(others: tuple[str, ...], here: Path) -> None:
    Path("attic/a.jpg").touch()
    said = segments_refused(*others, "attic/a.png")
    assert "written by attic/a.jpg and by attic/a.png; let them go into two folders" in said


@pytest.mark.parametrize("output", ["notes", "new.png", "NEW.JPG", "attic/a.png"])
def test_a_file_is_refused_as_the_folder_of_segments(output: str, here: Path) -> None:
    Path("notes").touch()
    assert "give a folder" in segments_refused("attic/a.png", output=output)


def test_a_folder_that_looks_like_a_file_takes_segments(here: Path) -> None:
    Path("out.png").mkdir()
    assert segments("attic/a.png", output="out.png")[0][1] == "out.png/a.overlay.png"


def test_the_folders_of_segments_are_checked_as_those_of_colors(here: Path) -> None:
    Path("empty").mkdir()
    assert "folder of the input" in segments_refused("album", output="album")
    assert "--recursive" in segments_refused("album", output="album/parts", recursive=True)
    assert "no picture" in segments_refused("empty")
    Path("attic/b.png").touch()
    Path("out").mkdir()
    Path("out/b.mask.png").symlink_to(here / "attic/a.png")
    assert "over the input attic/a.png" in segments_refused("attic")
