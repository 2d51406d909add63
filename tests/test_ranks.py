"""The house stands: every import of the package, late ones included, points to a lower rank."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "limner"
RANKS = {
    "errors": 0,
    "color": 1, "files": 1,
    "palette": 2, "picture": 2, "dataset": 2, "recipe": 2, "scores": 2, "lookup": 2, "drawing": 2,
    "card": 3, "weights": 3, "masks": 3,
    "paint": 4, "networks": 4,
    "segment": 5,
    "evaluate": 6, "learn": 6, "accounting": 6,
    "batch": 7, "studies": 7,
    "cli": 9,
    "__main__": 10,
}  # fmt: skip


def package_files() -> dict[str, str]:
    """Dotted name of every module of the package (limner.paint.painter) and its text."""
    return {
        ".".join(("limner", *file.relative_to(PACKAGE).with_suffix("").parts)): file.read_text()
        for file in sorted(PACKAGE.rglob("*.py"))
    }


def imported(module: str, text: str) -> Iterator[tuple[str, int]]:
    """Every module that the text may import, with its line: import, from and import_module("")."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            # a module a.b.c that writes `from .. import x` means a.x
            base = module.split(".")[: -node.level] if node.level else []
            source = ".".join([*base, node.module] if node.module else base)
            if source == "limner":
                yield from ((f"limner.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield source, node.lineno
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            name = called.id if isinstance(called, ast.Name) else called
            if name in ("import_module", "__import__"):
                yield str(node.args[0].value), node.lineno


def violations(files: Mapping[str, str]) -> list[str]:
    """One line for every import that does not point to a lower rank, or has none."""
    found = []
    for module, text in files.items():
        if module == "limner.__init__":
            continue  # the front door names what stands anywhere, and imports it when it is used
        place = module.split(".")[1]
        if place not in RANKS:
            found.append(f"{module}: {place} has no rank; give it one here and in the documents")
            continue
        for name, line in imported(module, text):
            parts = name.split(".")
            if parts[0] != "limner" or len(parts) == 1 or parts[1] == "__version__":
                continue
            target = parts[1]
            if target == place and module.count(".") > 1:
                continue  # inside one folder freely
            if target not in RANKS:
                found.append(f"{module}:{line}: imports {name}, which has no rank")
            elif RANKS[target] >= RANKS[place]:
                found.append(
                    f"{module}:{line}: rank {RANKS[place]} imports {name} of rank {RANKS[target]}"
                )
    return found


def test_imports_point_to_a_lower_rank() -> None:
    files = package_files()
    assert "limner.color" in files
    assert violations(files) == []


def test_every_rank_is_inhabited() -> None:
    places = {module.split(".")[1] for module in package_files()} - {"__init__"}
    assert places == set(RANKS)


def test_the_rank_test_can_fail() -> None:
    late = "def f():\n    from limner.cli import main\n"
    cases = {
        "limner.color": "from limner.palette import Palette",
        "limner.palette": "import limner.picture",
        "limner.card": late,
        "limner.paint.painter": "from ..batch import plan",
        "limner.paint.decode": "from limner import evaluate",
        "limner.networks.cnn": "import importlib\nimportlib.import_module('limner.learn.fit')",
        "limner.scores": "__import__('limner.cli')",
        "limner.helpers": "",
    }
    for module, text in cases.items():
        assert len(violations({module: text})) == 1, module
    good = {
        "limner.paint.painter": "from .decode import decode\nimport limner.errors",
        "limner.learn.fit": "import limner\nimport torch\nfrom limner import __version__, networks",
    }
    assert violations(good) == []
