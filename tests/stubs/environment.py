"""A clean virtual environment with the wheel that workers are sent; what that needs is seen, but comes last."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from batch_scorer.runners import wheel
from tests.processes import GUARD_S


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the wheel that was installed into it."""

    directory: Path
    wheel: Path

    @property
    def interpreter(self) -> str:
        return str(self.directory / "bin/python")

    def python(self, code: str) -> str:
        """What `code` prints there; `-I` passes over the PYTHONPATH of the tests."""
        done = subprocess.run(
            [self.interpreter, "-I", "-c", code],
            capture_output=True,
            text=True,
            cwd=self.directory,
            timeout=GUARD_S,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout


def install(directory: Path) -> Environment:
    """Makes the wheel and the environment in `directory`, and installs the one into the other without an index."""
    made = Environment(directory / "venv", Path(wheel.write_wheel(str(directory))))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made.directory], check=True)
    # A checkout on the path, where a build has left its `egg-info`, would count as installed.
    options = ["--ignore-installed", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", made.interpreter, "install", *options, made.wheel], check=True
    )
    (site,) = made.directory.glob("lib/python*/site-packages")
    (site / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return made
