"""Executes docs/tutorial.ipynb and takes from its outputs what differs from run to run; `scripts/tutorial` calls it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat

NOTEBOOK = Path(__file__).parent.parent / "docs" / "tutorial.ipynb"
STABLE = "stable"  # tag of a cell whose output is the same on every machine
TIMINGS = (
    (r"\bin [\d,.]+ s \([\d,.]+/s\)", "in ... s (.../s)"),
    (r"^(  (?:worker )?time +)\S.*%.*$", r"\1..."),
    (r"\babout [\d,.]+ (s|min) on this machine: [\d,.]+ s to start, then [\d,.]+ reviews/s in \d+ process(es)?",
     "about ... s on this machine: ... s to start, then ... reviews/s in ... processes"),
)  # fmt: skip
PROGRESS = re.compile(r"^.*(━|steps/s).*\n", re.MULTILINE)


def execute(folder: Path) -> Any:
    """The notebook with its outputs, executed by this interpreter as Jupyter would do, from the notebook's directory.

    Args:
        folder: where the kernel keeps what is temporary.

    Raises:
        CellExecutionError: a cell failed.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    # Without a directory of kernels, `python3` is the kernel of this interpreter, whatever else is installed.
    manager = AsyncKernelManager(
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), connection_file=str(folder / "kernel.json")
    )
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=1_200,  # only a guard
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    )
    temporary = {"TMPDIR": str(folder), "IPYTHONDIR": str(folder / "ipython")}
    client.execute(env={**os.environ, **temporary}, cleanup_kc=True)
    return normalised(notebook)


def normalised(notebook: Any) -> Any:
    """The notebook without timings, bars of progress and what the kernel says of itself."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {name: value for name, value in cell.metadata.items() if name == "tags"}
        for output in cell.get("outputs", ()):
            output.pop("metadata", None) if output.output_type == "stream" else output.update(metadata={})
            if output.output_type == "stream":
                output.text = without_timings(output.text)
    return notebook


def without_timings(text: str) -> str:
    """What a command printed, with dots for its timings."""
    text = re.sub(r" +$", "", PROGRESS.sub("", text), flags=re.MULTILINE)
    for pattern, instead in TIMINGS:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text


def printed(cell: Any) -> str:
    """A cell's output as text."""
    texts = [
        output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    ]
    return "".join(texts)


if __name__ == "__main__":
    with TemporaryDirectory(prefix="tutorial-") as made:
        nbformat.write(execute(Path(made)), sys.argv[1] if len(sys.argv) > 1 else NOTEBOOK)
