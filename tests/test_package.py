"""The wheel: what is in it, and what it says about itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since setuptools takes along whatever an earlier build left in `build/`."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("batch_scorer", "tests", "train"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    compiled = folder / "batch_scorer/models/__pycache__"  # there in every checkout that has been used
    compiled.mkdir()
    (compiled / "engine.cpython-311.pyc").touch()
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


def read(wheel: Path, name: str) -> bytes:
    """A file of the wheel's `.dist-info`."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
        return archive.read(path)


def metadata(wheel: Path) -> Message:
    return message_from_bytes(read(wheel, "METADATA"))


def test_wheel_holds_the_package_with_model_and_samples_and_nothing_else(wheel: Path) -> None:
    files = (path for path in (ROOT / "batch_scorer").rglob("*") if path.is_file())
    expected = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    for name in ("py.typed", "models/imdb/weights.safetensors", "samples/reviews.jsonl", "report/page.css"):
        assert f"batch_scorer/{name}" in expected
    assert expected == {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_wheel_starts_the_command_from_the_entry_point(wheel: Path) -> None:
    text = read(wheel, "entry_points.txt").decode()
    assert "[console_scripts]\nbatch-scorer = batch_scorer.cli.main:main" == text.strip()


def test_wheel_names_author_licence_systems_and_typing(wheel: Path) -> None:
    about = metadata(wheel)
    assert ("The batch-scorer authors", "Apache-2.0") == (about["Author"], about["License-Expression"])
    assert (ROOT / "LICENSE").read_bytes() == read(wheel, "licenses/LICENSE")
    assert {"Operating System :: MacOS :: MacOS X", "Operating System :: POSIX :: Linux", "Typing :: Typed"} <= set(
        about.get_all("Classifier", [])
    )


def test_python_versions_of_the_wheel_are_those_that_the_workflow_tests(wheel: Path) -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    (line,) = (line for line in workflow.splitlines() if line.strip().startswith("python: ["))
    classifiers = metadata(wheel).get_all("Classifier", [])
    named = [name.rpartition(" ")[2] for name in classifiers if name.startswith("Programming Language :: Python :: 3.")]
    assert line.partition(":")[2].strip() == str(named).replace("'", '"')


def test_page_about_dependencies_names_each_one_and_no_other(wheel: Path) -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    rows = [row.strip("|").split("|") for row in page.splitlines() if row.startswith("| ") and " package |" not in row]
    named = {name.split()[0] for *_, packages, _ in rows for name in packages.split(",")}
    needed = {re.split(r"[^\w-]", text)[0] for text in metadata(wheel).get_all("Requires-Dist", [])}
    assert needed - {"batch-scorer"} == named
