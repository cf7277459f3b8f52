"""A wheel of this package as it runs here, for workers on a service, which have to install it.

In: the package's own directory, of a checkout or installed. Out: a file. Needs no build tool and no network.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
import zipfile
from importlib import metadata
from pathlib import Path

from batch_scorer import __version__
from batch_scorer.errors import OptionError
from batch_scorer.escape import install

_NAME = "batch-scorer"
_MODEL_PACKAGES = ("tokenizers",)
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can hold: the same package always gives the same wheel


def requirements() -> list[str]:
    """What the package needs, at the versions installed here: rows must not depend on the day of the run.

    Raises:
        OptionError: the package itself is not installed, so its requirements are not known.
    """
    try:
        declared = metadata.requires(_NAME) or []
    except metadata.PackageNotFoundError as error:
        raise OptionError(
            "the package cannot be sent to the workers: its requirements are not known",
            got=f"{_NAME} runs from a directory and is not installed",
            fix=f"install it, with `{install('gcp')}` from a checkout, or give --sdk_container_image after --",
        ) from error
    names = [re.split(r"[^\w.-]", text)[0] for text in declared if "extra ==" not in text]
    # What some models need besides, if it is installed: those could be loaded here, and workers load them too.
    names += [name for name in _MODEL_PACKAGES if name not in names and importlib.util.find_spec(name)]
    return [_at_this_version(name) for name in names]


def _at_this_version(name: str) -> str:
    try:
        # Without the suffix of a local build (`+cpu`), which a package index does not know.
        return f"{name}=={metadata.version(name).partition('+')[0]}"
    except metadata.PackageNotFoundError:  # here, another package takes its place
        return name


def write_wheel(folder: str) -> str:
    """Writes the wheel into `folder`; returns its path. The shipped model and the samples are in it.

    Raises:
        OptionError: as `requirements`.
    """
    package, info = Path(__file__).parent.parent, f"batch_scorer-{__version__}.dist-info"
    needs = "".join(f"Requires-Dist: {text}\n" for text in requirements())
    about = f"Metadata-Version: 2.1\nName: {_NAME}\nVersion: {__version__}\nRequires-Python: >=3.11\n{needs}"
    kind = f"Wheel-Version: 1.0\nGenerator: {_NAME}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    paths = sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    files = {f"batch_scorer/{path.relative_to(package).as_posix()}": path.read_bytes() for path in paths}
    files |= {f"{info}/METADATA": about.encode(), f"{info}/WHEEL": kind.encode()}
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = Path(folder) / f"batch_scorer-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data, zipfile.ZIP_DEFLATED)
    return str(wheel)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
