"""Strips on many threads come back as on one: in order, all of them, errors too."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from limner.paint.strips import AHEAD, on_all_cores


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def strips_of(*heights: int) -> Iterator[np.ndarray]:
    yield from (np.full((rows, 3), number, np.uint8) for number, rows in enumerate(heights))


def test_each_strip_comes_with_its_top_row_and_in_its_order() -> None:
    second = threading.Event()

    def work(top: int, strip: np.ndarray) -> tuple[int, int, int]:
        if top == 0:
            assert second.wait(60)  # the first strip is done last
        else:
            second.set()
        return top, int(strip[0, 0]), len(strip)

    made = list(on_all_cores(strips_of(4, 1, 7, 2), work))
    assert made == [(0, 0, 4), (4, 1, 1), (5, 2, 7), (12, 3, 2)]


def test_no_strips_give_nothing() -> None:
    assert list(on_all_cores(strips_of(), lambda top, strip: top)) == []


def test_few_strips_are_read_ahead() -> None:
    read: list[int] = []

    def reading() -> Iterator[np.ndarray]:
        for number, strip in enumerate(strips_of(*[1] * 100)):
            read.append(number)
            yield strip

    made = on_all_cores(reading(), lambda top, strip: top)
    assert next(made) == 0
    assert len(read) == 2 * AHEAD + 1
    assert list(made) == list(range(1, 100))


def test_an_error_of_the_work_and_one_of_the_strips_pass() -> None:
    def work(top: int, strip: np.ndarray) -> int:
        if top == 2:
            raise ZeroDivisionError
        return top

    made = on_all_cores(strips_of(1, 1, 1, 1), work)
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(made)

    def broken() -> Iterator[np.ndarray]:
        yield from strips_of(1)
        raise EOFError

    with pytest.raises(EOFError):
        list(on_all_cores(broken(), lambda top, strip: top))
