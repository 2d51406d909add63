"""Ctrl-C and SIGTERM: both end a command as KeyboardInterrupt, and leave nothing half-written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_received: list[int] = []
_patient = False


@contextmanager
def stop_signals() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set, and gets, signals
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, _stop) for kind in kinds]
    _received.clear()
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


@contextmanager
def whole_pictures() -> Iterator[None]:
    """Within, a first signal waits for the next `check_stop`, so that a picture is finished.

    libvips calls back into Python, and an exception cannot cross its C code: raised there, it
    would be lost. A second signal raises at once.
    """
    global _patient
    _patient = True
    try:
        yield
    finally:
        _patient = False


def check_stop() -> None:
    """Raise KeyboardInterrupt if a signal came."""
    if _received:
        raise KeyboardInterrupt


def _stop(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    if not _patient or len(_received) > 1:
        raise KeyboardInterrupt
