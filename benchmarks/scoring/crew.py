"""Crews: single-threaded worker processes that sleep until it is their turn, and then all start at one signal.

Processes are spawned, so that their numbers of threads are set before any library reads them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from batch_scorer.errors import EngineError
from benchmarks.scoring.answers import Batching
from benchmarks.scoring.onnx_side import UnsupportedError

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"),
    "KMP_BLOCKTIME": "0",  # idle threads sleep at once
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
Turn = Callable[[Batching], object]  # does a process's share of the work in such batches; its result must pickle


class LeftOutError(Exception):
    """A crew cannot take part on this machine; the message says why."""


class Crew:
    """P processes that each do their share of a round. Must be closed.

    Args:
        name: for messages.
        prepares: P functions, one for each process to call, which load and compile and return the function for a turn.
            They and their arguments must pickle.
        processor_time: whether turns are timed by the processor time that their processes used, instead of the clock.

    Raises:
        LeftOutError: a module is missing, or the processor lacks a feature.
        EngineError: the preparation failed for another reason.
    """

    def __init__(self, name: str, prepares: Sequence[Callable[[], Turn]], processor_time: bool = False) -> None:
        self.name = name
        self._processor_time = processor_time
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        spawn = multiprocessing.get_context("spawn")
        before = {key: os.environ.get(key) for key in ONE_THREAD}
        os.environ.update(ONE_THREAD)
        try:
            for prepare in prepares:
                ours, theirs = spawn.Pipe()
                process = spawn.Process(target=_serve, args=(theirs, prepare), daemon=True)
                process.start()
                theirs.close()  # a process that dies then closes the last copy, which ends the wait for its answer
                self._pipes.append(ours)
                self._processes.append(process)
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value
        try:
            self._collect()
        except BaseException:
            self.close()
            raise

    def turn(self, batching: Batching) -> tuple[float, list[Any]]:
        """Has every process do its share.

        Returns:
            seconds: from the start signal until the last process has finished, or the most that one used.
            results: of each process.
        """
        start = time.perf_counter()
        for pipe in self._pipes:
            pipe.send(batching)
        seconds, results = zip(*self._collect(), strict=True)
        return max(seconds) if self._processor_time else time.perf_counter() - start, list(results)

    def close(self) -> None:
        """Ends the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()

    def _collect(self) -> list[Any]:
        results = []
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            try:
                verdict, result = pipe.recv()
            except EOFError:
                process.join()
                verdict, result = "failed", f"a process ended with code {process.exitcode}; is there enough memory?"
            if verdict == "left out":
                raise LeftOutError(result)
            if verdict == "failed":
                raise EngineError("a contender failed", where=self.name, got=result)
            results.append(result)
        return results


def _serve(pipe: Connection, prepare: Callable[[], Turn]) -> None:
    """Runs in a worker process: prepares, then takes turns in the batches it is told until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the driver too, which closes the pipe
    with tempfile.TemporaryFile() as discarded:
        stderr = os.dup(2)
        os.dup2(discarded.fileno(), 2)  # libraries print messages to standard error as they load
        try:
            turn = prepare()
            answer: tuple[str, object] = ("ready", None)
        except (ImportError, UnsupportedError) as error:
            answer = ("left out", f"{error}")
        except Exception:
            answer = ("failed", traceback.format_exc())
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    try:
        pipe.send(answer)
        while answer[0] in ("ready", "done"):
            batching = pipe.recv()
            try:
                start = time.process_time()
                result = turn(batching)
                answer = ("done", (time.process_time() - start, result))
            except Exception:
                answer = ("failed", traceback.format_exc())
            pipe.send(answer)
    except (EOFError, OSError):
        pass  # the driver has closed the pipe or has ended
