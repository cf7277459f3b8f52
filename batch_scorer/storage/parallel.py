"""Work done ahead by threads: many small reads of a disk or a store, whose results are taken in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

THREADS, THREADS_REMOTE = 16, 32  # more than there are cores: they wait for a disk, and for a store far longer
_BATCH = 16
_TRIED, _AGAIN = 16, 1_000  # items by which it is told whether the work waits, of how many

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(work: Callable[[T], R], items: Iterable[T], remote: bool) -> Iterator[R]:
    """The results of `work`, which reads a small file, in the order of `items`; by threads where that is faster.

    In a store, each file is waited for. Files that lie in the memory of the system are not, and threads that compute
    stand in each other's way: on a disk, some files are read here now and then, to see whether they are waited for.
    """
    if remote:
        yield from ahead(work, items, THREADS_REMOTE)
        return
    left = iter(items)
    while tried := list(islice(left, _TRIED)):
        start_s, computed_s = time.perf_counter(), time.thread_time()
        done = _all(work, tried)
        waits = time.perf_counter() - start_s > 2 * (time.thread_time() - computed_s)
        yield from done
        yield from ahead(work, islice(left, _AGAIN - _TRIED), THREADS if waits else 1, _BATCH)


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
