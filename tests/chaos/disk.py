"""A small disk in memory, to be filled or write-protected. Needs the right to mount."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

LARGE_MIB, LARGE_FILES = 256, 100_000
BUSY_SECONDS = 120.0  # a disk cannot be write-protected while a file on it is open for writing


@cache
def lacking() -> str | None:
    """Why no such disk can be had here, if so."""
    if os.geteuid() != 0:
        return "only root may mount a disk"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted(Path(folder)):
                return None
        except (OSError, subprocess.CalledProcessError):
            return "this machine lets nobody mount a disk"


@contextmanager
def mounted(at: Path) -> Iterator[None]:
    """A disk at the directory `at`, empty."""
    options = f"size={LARGE_MIB}m,nr_inodes={LARGE_FILES},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "chaos", at], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", at], check=False)


def leave(at: Path, kibibytes: int | None = None, files: int | None = None) -> None:
    """Makes the disk so small that it has room for no more than that."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        state = os.statvfs(at)
        if kibibytes is not None:
            used = (state.f_blocks - state.f_bfree) * state.f_frsize // 1024
            size = f"size={max(used + kibibytes, 4)}k"  # nought would be no limit at all
        else:
            size = f"nr_inodes={state.f_files - state.f_ffree + (files or 0)}"
        try:
            _remount(at, size)
            return
        except subprocess.CalledProcessError:  # more was used by then
            if time.monotonic() > end:
                raise


def enlarge(at: Path) -> None:
    """Gives the disk all its room again."""
    _remount(at, f"size={LARGE_MIB}m,nr_inodes={LARGE_FILES}")


@contextmanager
def read_only(at: Path) -> Iterator[None]:
    """Write-protects the disk."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            _remount(at, "ro")
            break
        except subprocess.CalledProcessError:
            if time.monotonic() > end:
                raise
    yield
    _remount(at, "rw")


def _remount(at: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", at], check=True, capture_output=True)
