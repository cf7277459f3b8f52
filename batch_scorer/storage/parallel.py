"""Reading many small files ahead, in threads, with the results in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

THREADS, THREADS_REMOTE = 16, 32  # more than cores: threads wait for a disk, and far longer for a store
_BATCH = 16
_TRIED, _AGAIN = 16, 1_000  # items that are timed to see whether threads help, out of so many

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(work: Callable[[T], R], items: Iterable[T], remote: bool) -> Iterator[R]:
    """The results of `work`, which reads a small file, in the order of `items`; in threads if that is faster.

    Reading from a store means waiting. Reading from a disk may not: the system may have the files in memory, and
    threads that only compute get in each other's way. So every thousand local files, a few are timed in this thread.
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
    """The results of `work`, in the order of `items`, whichever thread finishes first.

    An exception from `work` is raised when its turn comes, so a caller always sees the first one in order; the results
    of the same batch may be lost.

    Args:
        threads: how many; with one, each item is processed when its result is requested.
        batch: items that a thread takes at a time. At most twice as many batches as threads are started ahead.
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
