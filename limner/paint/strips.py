"""Strips of rows, worked on by all cores, given back in their order."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from limner.picture import Pixels

Made = TypeVar("Made")

MOST_THREADS = 8
AHEAD = 2  # strips in work for each thread: memory stays small, and no thread waits


def on_all_cores(strips: Iterator[Pixels], work: Callable[[int, Pixels], Made]) -> Iterator[Made]:
    """work(top row, strip) of each strip, in order. Each depends on its own rows alone: the threads
    change nothing."""
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        working: deque[Future[Made]] = deque()
        top = 0
        for strip in strips:
            working.append(pool.submit(work, top, strip))
            top += len(strip)
            if len(working) > AHEAD * threads:
                yield working.popleft().result()
        while working:
            yield working.popleft().result()
