"""The command line: `limner COMMAND`, one file a command; each imports late what it needs."""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from limner.cli import (
    account,
    colorize,
    data,
    evaluate,
    export,
    models,
    palette,
    personalize,
    report,
    segment,
    study,
    train,
)
from limner.cli.terminal import say
from limner.errors import LimnerError

STOPPED = 130  # as a shell counts a command that Ctrl-C ended

app = typer.Typer(
    rich_markup_mode=None,  # the styled help loads rich, which costs more than all the rest
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},
)
app.command()(colorize.colorize)
app.command()(segment.segment)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(export.export)
app.add_typer(palette.app, name="palette")
app.add_typer(data.app, name="data")
app.command()(models.models)
app.command()(personalize.personalize)
app.command()(account.account)
app.command()(study.study)
app.command()(report.report)


def _print_version(wanted: bool) -> None:
    if wanted:
        from limner import __version__

        print(f"limner {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def limner(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Color black-and-white photographs, with the colors' certainty.

    \b
    Examples:
      limner colorize old.jpg -o colorized
      limner colorize album -o colorized --compare
      limner colorize --help
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code.

    0 good, 1 some pictures failed, 2 the call or the input is wrong, 130 stopped. An error of the
    caller is one line on stderr; an unexpected exception is a mistake of limner's and passes.
    """
    try:
        with sigterm_as_ctrl_c():
            code = _run(sys.argv[1:] if arguments is None else list(arguments))
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return STOPPED


def _run(arguments: list[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be no text at all
        sys.stdout.reconfigure(errors="surrogateescape")
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="limner", standalone_mode=False)
    except LimnerError as error:
        say(str(error))
        return error.exit_code
    except typer.TyperException as error:
        say(_usage_line(error))
        return error.exit_code
    if code == STOPPED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Within, SIGTERM raises KeyboardInterrupt, as Ctrl-C does. Only a main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _usage_line(error: typer.TyperException) -> str:
    """A usage error as one line: what is wrong, what was found, what to do."""
    message = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    context: typer.Context | None = getattr(error, "ctx", None)
    path = context.command_path if context else "limner"
    return f"{message[:1].lower()}{message[1:]}; see `{path} --help`"
