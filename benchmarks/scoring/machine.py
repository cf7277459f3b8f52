"""Describes what a measurement ran on: the processor and the versions of packages."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

FLAGS = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
)  # features that products can use
PACKAGES = ("numpy", "tensorflow", "keras", "onnx", "onnxruntime", "openvino", "torch")


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, Any]:
    """The processor's name, its number of cores, and which of `FLAGS` it has.

    Args:
        cpuinfo: in Linux's format; on other systems it does not exist, and the flags are unknown.
    """
    first: dict[str, str] = {}
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().split("\n\n", 1)[0].splitlines():
            key, _, value = line.partition(":")
            first[key.strip()] = value.strip()
    has = first.get("flags", "").split()
    return {
        "processor": first.get("model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "flags": [flag for flag in FLAGS if flag in has],
    }


def versions() -> dict[str, str]:
    """The versions of Python and of the installed `PACKAGES`."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed
