"""Work done ahead by threads: many small reads of a disk or a store, whose results are taken in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

# More than there are cores: they wait for a disk, and for a store far longer.
THREADS, THREADS_REMOTE = 4, 32
T = TypeVar("T")
R = TypeVar("R")


def threads(remote: bool) -> int:
    """How many threads are to read or write small files: on a disk, or in a store if that is `remote`."""
    return THREADS_REMOTE if remote else THREADS


def ahead(work: Callable[[T], R], items: Iterable[T], threads: int, batch: int = 1) -> Iterator[R]:
    """The results of `work`, in the order of `items`, whichever thread is done first.

    An exception of `work` is raised in its turn, so that what a caller sees of many is the first in order; the results
    of its own batch may be lost by it.

    Args:
        threads: how many; with one, the work is done when its result is asked for.
        batch: items that a thread takes at a time. Twice as many batches as threads are done or under way at most.
    """
    if threads == 1:
        yield from map(work, items)
        return
    left = iter(items)
    waiting: deque[Future[list[R]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                while len(waiting) < 2 * threads and (taken := list(islice(left, batch))):
                    waiting.append(pool.submit(_all, work, taken))
                if not waiting:
                    return
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _all(work: Callable[[T], R], items: list[T]) -> list[R]:
    return [work(item) for item in items]
