"""Reading ahead: results and errors come in order, whichever thread finishes first, and not too much is started."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import SimpleNamespace

import pytest

from batch_scorer.storage import parallel as module
from batch_scorer.storage.parallel import ahead, read_ahead

WAIT_S = 600.0  # only a guard


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("items", [0, 1, 2, 50])
def test_ahead_with_any_threads_and_batches_gives_the_results_of_map(items: int, threads: int, batch: int) -> None:
    assert [i * i for i in range(items)] == list(ahead(lambda i: i * i, range(items), threads, batch))


def test_ahead_results_come_in_order_even_if_the_first_finishes_last() -> None:
    last = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert last.wait(WAIT_S)
        if item == 3:
            last.set()
        return item

    assert [0, 1, 2, 3] == list(ahead(work, range(4), threads=4))


def test_ahead_of_several_errors_raises_the_first_in_order() -> None:
    other = threading.Event()

    def work(item: int) -> int:
        if item == 2:
            other.set()
            raise ValueError("the first in time")
        if item == 1:
            assert other.wait(WAIT_S)
            raise ValueError("the first in order")
        return item

    results = ahead(work, range(4), threads=4)

    assert 0 == next(results)
    with pytest.raises(ValueError, match="the first in order"):
        next(results)


@pytest.mark.parametrize("batch", [1, 5])
def test_ahead_starts_at_most_two_batches_a_thread(batch: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = ahead(lambda item: item, items(), threads=3, batch=batch)
    for done in range(1, 200):
        next(results)
        assert taken <= done + 2 * 3 * batch
    results.close()  # type: ignore[attr-defined]
    assert taken < 300


@pytest.mark.parametrize("waits", [True, False])
def test_read_ahead_of_local_files_uses_threads_if_reading_means_waiting(
    waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = count()
    monkeypatch.setattr(module, "time", SimpleNamespace(
        perf_counter=lambda: next(clock), thread_time=lambda: 0.0 if waits else 1.0 * next(clock)
    ))  # fmt: skip
    main, others = [], []

    def work(item: int) -> int:
        (main if threading.current_thread() is threading.main_thread() else others).append(item)
        return -item

    assert [-item for item in range(2_100)] == list(read_ahead(work, range(2_100), remote=False))
    tried = [*range(16), *range(1_000, 1_016), *range(2_000, 2_016)]
    assert (tried if waits else list(range(2_100))) == main
    assert sorted(main + others) == list(range(2_100))


def test_read_ahead_in_a_store_reads_many_files_at_once() -> None:
    together = threading.Barrier(20)

    def work(item: int) -> int:
        together.wait(WAIT_S)
        return item

    assert list(range(40)) == list(read_ahead(work, range(40), remote=True))


def test_ahead_that_is_closed_early_does_not_do_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    done, go = [], threading.Event()

    class Pool(ThreadPoolExecutor):
        """Lets the work in hand continue once everything else is cancelled."""

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            go.set()
            super().shutdown(wait)

    monkeypatch.setattr(module, "ThreadPoolExecutor", Pool)

    def work(item: int) -> int:
        if item:
            assert go.wait(WAIT_S)
        done.append(item)
        return item

    results = ahead(work, range(100), threads=2)
    assert 0 == next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(done) <= 3
