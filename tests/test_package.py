"""The wheel: what is in it, and that nothing else is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_wheel_holds_the_package_with_model_and_samples_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"batch_scorer"} == {name.split("/")[0] for name in names if ".dist-info/" not in name}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "batch_scorer").rglob("*.py")}
    shipped = {str(path.relative_to(ROOT)) for path in (ROOT / "batch_scorer/models").rglob("*") if path.is_file()}
    samples = {str(path.relative_to(ROOT)) for path in (ROOT / "batch_scorer/samples").rglob("*") if path.is_file()}
    page = {str(path.relative_to(ROOT)) for path in (ROOT / "batch_scorer/report").glob("page.*")}
    assert 4 == len(page)
    assert shipped
    assert samples
    assert set() == (sources | shipped | samples | page) - set(names)
