"""The command line as a whole: help that teaches, errors of one line, exit codes."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

import limner.cli
from limner import __version__
from limner.errors import LimnerError
from limner.recipe import Recipe

COMMANDS = {  # command -> the options that it promises
    "colorize": "--output --model --temperature --saturation --size --device --certainty --compare "
    "--format --quality --overwrite --recursive --max-pixels --json",
    "segment": "--output --model --device --overwrite --recursive --max-pixels --json",
    "train": "--output --set --from --precision --device --data --cache --class-weights "
    "--foreground",
    "evaluate": "--data --split --json",
    "export": "--output --overwrite --name",
    "palette learn": "--data -k --space --output --seed --grid --overwrite",
    "palette show": "--output --overwrite",
    "data check": "--split --json",
    "data label": "--output --model --sure --pictures --split --device --json",
    "models": "--json",
    "personalize": "--with --output --strength --overwrite",
    "account": "--set --input --batch --learn --optimizer --device --symbolic --free --as-written "
    "--doubled --compare --solve --limit --depth --top --figure --shapes --allow-unknown --format "
    "--json --overwrite",
    "study": "--quick --data --output --json",
    "report": "--output --overwrite",
}


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "limner", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name, child in command.commands.items():
        yield from leaves(child, (*path, name))


def leaf(name: str) -> Any:
    return dict(leaves(typer.main.get_command(limner.cli.app)))[name]


def examples(help_text: str) -> list[str]:
    lines = help_text.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    return [line.strip() for line in lines]


def test_the_commands_are_these() -> None:
    assert {name for name, _ in leaves(typer.main.get_command(limner.cli.app))} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(name: str, limner: Callable[..., Any]) -> None:
    outcome = limner(*name.split(), "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert any(line.startswith(f"limner {name}") for line in examples(outcome.out))
    for option in COMMANDS[name].split():
        assert option in outcome.out, option
    for line in outcome.out.splitlines():
        assert len(line) <= 100


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_in_the_help_can_be_called(name: str) -> None:
    for example in examples(leaf(name).help + "\n\n"):
        words = shlex.split(example)[1:]
        called = next(n for n in COMMANDS if words[: len(n.split())] == n.split())
        leaf(called).make_context(called, words[len(called.split()) :])  # raises a usage error


def test_the_help_of_train_lists_every_key_of_a_recipe() -> None:
    heading = "Keys of a recipe (docs/recipe.md explains them):\n"
    listed = leaf("train").help.partition(heading)[2].partition("\n\n")[0].split()
    assert listed == [field.name for field in fields(Recipe)]


def test_bare_limner_prints_its_help(limner: Callable[..., Any]) -> None:
    assert limner().out == limner("--help").out
    assert limner().code == 0


def test_version(limner: Callable[..., Any]) -> None:
    outcome = limner("--version")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"limner {__version__}\n", "")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("paint", "'paint'"),
        ("--colour", "--colour"),
        ("palette", "command"),
        ("colorize", "PHOTO|FOLDER"),
        ("colorize a.jpg", "--output"),
        ("colorize a.jpg -o", "-o"),
        ("colorize a.jpg -o x --saturation nan", "nan"),
        ("colorize a.jpg -o x --saturation 2.1", "2.1"),
        ("colorize a.jpg -o x --saturation -1", "-1"),
        ("colorize a.jpg -o x --temperature 0", "--temperature"),
        ("colorize a.jpg -o x --temperature inf", "inf"),
        ("colorize a.jpg -o x --size -3", "-3"),
        ("colorize a.jpg -o x --size 2.5", "2.5"),
        ("colorize a.jpg -o x --quality 200", "200"),
        ("colorize a.jpg -o x --quality 0", "1..100"),
        ("colorize a.jpg -o x --max-pixels many", "many"),
        ("colorize a.jpg -o x --device tpu", "'tpu'"),
        ("colorize a.jpg -o x --format gif", "'gif'"),
        ("segment", "PHOTO|FOLDER"),
        ("segment a.jpg", "--output"),
        ("segment a.jpg -o x --device tpu", "'tpu'"),
        ("train r.toml -o run --precision fp8", "'fp8'"),
        ("train r.toml -o run --cache fp16", "'fp16'"),
        ("train r.toml -o run --class-weights sqrt", "'sqrt'"),
        ("train", "RECIPE.toml|RUN"),
        ("evaluate photo", "--data"),
        ("export run", "--output"),
        ("palette learn --data x -o y.json -k 0", "0"),
        ("palette learn --data x -o y.json --space lab", "'lab'"),
        ("palette show", "PALETTE|MODEL"),
        ("data", "command"),
        ("data check", "NAME|PATH"),
        ("models --yaml", "--yaml"),
    ],
)
def test_a_usage_error_is_one_line(call: str, says: str, limner: Callable[..., Any]) -> None:
    outcome = limner(*call.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("limner: ")
    assert outcome.err.count("\n") == 1
    assert says in outcome.err
    assert "--help`" in outcome.err


def test_an_error_of_limner_is_its_line_and_its_exit_code(
    limner: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(LimnerError):
        exit_code = 130

    def stop(*given: object) -> None:
        raise Stopped("stopped after step 3;\ngo on")

    monkeypatch.setattr("limner.weights.names", stop)
    outcome = limner("models")
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err == "limner: stopped after step 3; go on\n"


def test_a_mistake_of_limner_is_not_made_a_line(
    limner: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("limner.weights.names", mistake)
    with pytest.raises(ZeroDivisionError):
        limner("models")


def test_ctrl_c_is_130(limner: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("limner.weights.names", interrupt)
    outcome = limner("models")
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "limner: stopped\n")


def test_the_process_speaks_the_same() -> None:
    helped = process("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "colorize" in helped.stdout
    wrong = process("colorize", "a.jpg")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.count("\n") == 1


def test_help_loads_neither_rich_nor_numpy() -> None:
    code = (
        "import sys; from limner.cli import main; main(['--help'])\n"
        "assert not {'rich', 'numpy', 'pyvips', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)


def test_a_reader_that_leaves_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        run = subprocess.run(
            [sys.executable, "-m", "limner", "--help"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert (run.returncode, run.stderr) == (1, "")


def test_completion_installs_with_one_command(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    installed = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m limner --install-completion; exit $?"],
        env=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    script = tmp_path / ".bash_completions" / "limner.sh"
    assert str(script) in installed.stdout
    assert "complete -o default -F _limner_completion limner" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()
    asked = {"_LIMNER_COMPLETE": "complete_bash", "COMP_WORDS": "limner colo", "COMP_CWORD": "1"}
    assert process(**asked).stdout.split() == ["colorize"]
