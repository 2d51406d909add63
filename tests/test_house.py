"""The documents, the recipes and the build say what is true of the checkout that holds them."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from limner.cli import main
from limner.errors import MissingExtra
from limner.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
RECIPES = sorted(ROOT.glob("recipes/*.toml"))
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}


def targets() -> set[str]:
    """The names that the Makefile can make."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    return {line.split(":")[0] for line in lines if re.match(r"[a-z]+:(?!=)", line)}


def make_commands(text: str) -> set[str]:
    """The X of every `make X` that stands in a code block or between backticks."""
    return set(re.findall(r"(?m)(?:^    |`)make ([a-z]+)", text))


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_command_of_a_document_exists(document: Path) -> None:
    assert make_commands(document.read_text()) <= targets()


def test_make_commands_are_found() -> None:
    assert make_commands("    make up\nwe make do with `make down`") == {"up", "down"}
    assert {"colorize", "test", "data", "check", "fix", "bench"} <= targets()
    assert "colorize" in make_commands((ROOT / "README.md").read_text())


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = "make test"
    assert command in (ROOT / "README.md").read_text()
    script = (ROOT / ".ci/run").read_text().splitlines()
    assert command in script
    assert "set -euo pipefail" in script
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def limner_commands(text: str) -> set[str]:
    """The X of every `limner X` that stands in a code block or between backticks."""
    return set(re.findall(r"(?m)(?:^    (?:\.venv/bin/)?|`)limner ([a-z]+)", text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_limner_command_of_a_document_has_help(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in sorted(limner_commands(document.read_text())):
        assert main([command, "--help"]) == 0, command
        assert f"limner {command}" in capsys.readouterr().out


def test_an_unknown_command_has_no_help() -> None:
    assert limner_commands("    .venv/bin/limner paint x\n`limner show`") == {"paint", "show"}
    assert main(["paint", "--help"]) == 2


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    names = re.findall(r"`((?:limner|tests|docs|examples|recipes|\.ci)/[\w./-]+)`", text)
    missing = [
        name
        for name in [*links, *names]
        if not ((document.parent if name in links else ROOT) / name).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_every_recipe_parses_and_is_named_like_its_file(recipe: Path) -> None:
    assert Recipe.load(recipe).name == recipe.stem


@pytest.mark.parametrize("folder", ["limner", "tests", "benchmarks"])
def test_every_file_says_what_it_is_for(folder: str) -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / folder).rglob("*.py"))
        if ast.get_docstring(ast.parse(file.read_text())) is None
    ]
    assert silent == []


def test_the_floor_is_small() -> None:
    floor = {re.split(r"[^\w-]", requirement)[0] for requirement in project()["dependencies"]}
    assert floor == {"numpy", "onnxruntime", "pillow", "pyvips", "pyvips-binary", "rich", "typer"}


def test_the_extra_that_errors_name_exists() -> None:
    named = re.search(r"'\.\[(\w+)\]'", str(MissingExtra("`limner train`", "torch")))
    assert named is not None
    assert named[1] in project()["optional-dependencies"]


def test_the_weights_terms_go_with_the_package() -> None:
    assert "limner/weights/LICENSE" in project()["license-files"]
    assert "LicenseRef-limner-weights" in project()["license"]
    assert "weights" in project()["description"]


@pytest.mark.parametrize(
    ("folder", "document"),
    [("examples/photographs", "SOURCES.md"), ("tests/data/sample", "../README.md")],
)
def test_every_committed_picture_names_its_source(folder: str, document: str) -> None:
    text = (ROOT / folder / document).read_text()
    pictures = [p for p in sorted((ROOT / folder).rglob("*")) if p.suffix in PICTURES]
    assert pictures
    unnamed = [p for p in pictures if f"{p.relative_to(ROOT / folder)}`" not in text]
    assert unnamed == []


def test_the_checkout_is_small() -> None:
    """No picture or model above the sizes that the documents promise."""
    samples = sum(file.stat().st_size for file in (ROOT / "examples/photographs").iterdir())
    assert samples < 2_000_000
    for model in (ROOT / "limner/weights").glob("*.onnx"):
        limit = {"voc": 20_000_000}.get(model.stem, 15_000_000)
        assert model.stat().st_size <= limit, model.name


def test_the_makefile_parses() -> None:
    for target in sorted(targets()):
        run = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
