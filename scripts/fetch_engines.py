"""Fetches Flink, Spark and Prism into a cache, once each: `scripts/engines` runs it. Needs only Python's own library.

In: the pins in scripts/engine_files and the clients of the registries (Maven, pip, Go). Out: in the cache, one file for
each engine, which refers to everything that the engine needs. It appears only when all of that has been verified.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from scripts.engine_versions import ENGINES, JavaEngine, Prism

PINS = Path(__file__).parent / "engine_files"
CACHE = "BATCH_SCORER_ENGINES"
_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:2.8:build-classpath"
_HALF = ".half-"
_LINE_BYTES = 70  # of a line in a jar's manifest, at most 72 with its end
_REPEAT = "run the same command again: what has arrived and was verified is kept"


class FetchError(Exception):
    """An engine could not be fetched.

    Args:
        what: what went wrong.
        fix: the next step.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


_TOOLS = {
    "java": "install Java 17: `apt install openjdk-17-jre-headless`, or `brew install openjdk@17`",
    "mvn": "install Maven: `apt install maven`, or `brew install maven`",
    "go": "install Go: https://go.dev/dl, or `brew install go`",
}


def cache() -> Path:
    """The folder for everything that is fetched: `BATCH_SCORER_ENGINES`, or one below `~/.cache`."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache/batch-scorer/engines").absolute()


def fetch(engine: JavaEngine | Prism, folder: Path, pins: Path = PINS) -> Path:
    """Fetches an engine unless it is there; returns its file. A second run waits for the first.

    Raises:
        FetchError: a tool is missing, a download failed, something differs from its pin, or the cache is not writable.
    """
    ready = folder / engine.file
    if ready.exists():
        return ready
    missing = [tool for tool in engine.needs if shutil.which(tool) is None]
    if missing:
        raise FetchError(f"{' and '.join(missing)} not found", "; ".join(_TOOLS[tool] for tool in missing))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in folder.glob(f"{_HALF}*"):  # by a run that was killed
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(prefix=_HALF, dir=folder) as made:
                if isinstance(engine, Prism):
                    done = _build_prism(engine, Path(made))
                else:
                    done = _assemble(engine, folder, Path(made), pins)
                os.replace(done, ready)
    except OSError as error:
        raise FetchError(str(error), f"free disk space, or fix permissions, in {folder}; then {_REPEAT}") from error
    return ready


def _assemble(engine: JavaEngine, folder: Path, work: Path, pins: Path) -> Path:
    """A jar without content, whose class path names the job server's jars, then the engine's, relative to the cache."""
    jars = _beams_jars(engine, folder / "maven", work, pins)
    home = folder / f"{engine.name}-{engine.version}"
    if not home.exists():
        os.replace(_unpacked(engine, folder / "packages", work, pins), home)
    jars += sorted((home / Path(engine.kept[0]).name).glob("*.jar"))
    names = " ".join(quote(jar.relative_to(folder).as_posix()) for jar in jars)
    attributes = ("Manifest-Version: 1.0", f"Main-Class: {engine.server}", f"Class-Path: {names}")
    made = work / engine.file
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", b"".join(map(_folded, attributes)) + b"\r\n")
    return made


def _folded(attribute: str) -> bytes:
    """A line of a jar's manifest, continued on lines that start with a space."""
    data = attribute.encode()
    first, rest = data[:_LINE_BYTES], data[_LINE_BYTES:]
    width = _LINE_BYTES - 1
    return b"\r\n ".join([first, *(rest[i : i + width] for i in range(0, len(rest), width))]) + b"\r\n"


def _beams_jars(engine: JavaEngine, repository: Path, work: Path, pins: Path) -> list[Path]:
    """The job server's jars, in the order of its class path, each compared with its pin."""
    pinned = dict(line.split("  ")[::-1] for line in (pins / f"{engine.name}.sha256").read_text().splitlines())
    paths = [repository / path for path in pinned]
    if not all(path.exists() for path in paths):
        _download_jars(engine, repository, work, pins)
    for path, expected in zip(paths, pinned.values(), strict=True):
        got = _sha256(path)
        if got != expected:
            path.unlink(missing_ok=True)
            raise FetchError(f"{path.name} is not the pinned file: expected sha256 {expected}, got {got}", _REPEAT)
    return paths


def _download_jars(engine: JavaEngine, repository: Path, work: Path, pins: Path) -> list[Path]:
    """Lets Maven download what the engine's POM asks for; returns the class path that Maven makes of it."""
    class_path = work / "classpath"
    words = ("mvn", "--batch-mode", "--no-transfer-progress", "--quiet", "--strict-checksums")
    options = (f"-Dmaven.repo.local={repository}", f"-Dmdep.outputFile={class_path}")
    _run([*words, "--file", str(pins / f"{engine.name}.xml"), *options, _DEPENDENCIES])
    return [Path(name) for name in class_path.read_text().strip().split(os.pathsep)]


def pin(engine: JavaEngine, folder: Path, pins: Path = PINS) -> Path:
    """Writes the checksums of the jars that the engine's POM now asks for; returns the file."""
    table, repository = pins / f"{engine.name}.sha256", folder / "maven"
    with tempfile.TemporaryDirectory() as work:
        jars = _download_jars(engine, repository, Path(work), pins)
    table.write_text("".join(f"{_sha256(jar)}  {jar.relative_to(repository).as_posix()}\n" for jar in jars))
    return table


def _sha256(path: Path) -> str:
    if not path.exists():
        return "no file"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpacked(engine: JavaEngine, packages: Path, work: Path, pins: Path) -> Path:
    """The folders of the engine's package that are needed; pip compares the package with its pin."""
    words = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    source = ("--no-binary", ":all:", "--require-hashes", "--requirement", str(pins / f"{engine.name}.txt"))
    _run([*words, *source, "--dest", str(packages)])
    archive = next(packages.glob(f"{engine.package.replace('-', '?')}-{engine.version}.tar.gz"))
    home = work / "home"
    with tarfile.open(archive) as packed:
        for member in packed:
            _, _, path = member.name.partition("/")
            kept = next((folder for folder in engine.kept if path.startswith(f"{folder}/")), None)
            # Files only, and none outside: the first versions of Python 3.11 cannot filter what they extract.
            if kept is None or not member.isfile() or ".." in path.split("/"):
                continue
            target = home / Path(kept).name / path[len(kept) + 1 :]
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.extractfile(member) as contents, target.open("wb") as file:
                shutil.copyfileobj(contents, file)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)
    archive.unlink()
    return home


def _build_prism(engine: Prism, work: Path) -> Path:
    """Prism's executable; we compare the module with its pin, and Go what it depends on with its own database."""
    at = f"v{engine.version}"
    said = json.loads(_run(["go", "mod", "download", "-json", f"{engine.module}@{at}"], cwd=work))
    if said["Sum"] != engine.checksum:
        what = f"{engine.module} {at} is not the pinned module: expected {engine.checksum}, got {said['Sum']}"
        raise FetchError(what, "empty Go's cache with `go clean -modcache`, and " + _REPEAT)
    _run(["go", "install", f"{engine.module}/go/cmd/prism@{at}"], cwd=work, GOBIN=str(work))
    return work / "prism"


def _run(command: Sequence[str], cwd: Path | None = None, **variables: str) -> str:
    """Runs a client of a registry; returns what it printed."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=cwd, env={**os.environ, **variables}
    )
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        first = next((i for i, line in enumerate(lines) if "ERROR" in line), max(len(lines) - 1, 0))
        told = " ".join(lines[first:])[:1000] or "it printed nothing"
        what = f"`{Path(command[0]).name}` ended with exit code {done.returncode}: {told}"
        raise FetchError(what, f"check the network, and the proxy if there is one; then {_REPEAT}")
    return done.stdout


def _megabytes(path: Path) -> str:
    paths = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return f"{sum(one.stat().st_size for one in paths) / 1e6:,.0f} MB"


def main(words: Sequence[str], tell: Callable[[str], None] = print) -> int:
    """Fetches the engines that `words` name, all of them by default; returns the exit code."""
    parser = argparse.ArgumentParser("scripts/engines", description="Fetches Flink, Spark and Prism, once each.")
    parser.add_argument("engine", nargs="*", help=f"{', '.join(ENGINES)}; all by default")
    parser.add_argument("--path", choices=ENGINES, help="print where the engine's job server is, and fetch nothing")
    pinned = [name for name, engine in ENGINES.items() if isinstance(engine, JavaEngine)]
    parser.add_argument("--pin", choices=pinned, help="write the checksums of the jars that Maven now resolves")
    asked = parser.parse_args(words)
    unknown = [name for name in asked.engine if name not in ENGINES]
    if unknown:
        parser.error(f"no such engine: {unknown[0]}; choose from {', '.join(ENGINES)}")
    folder = cache()
    if asked.path:
        return _tell_path(ENGINES[asked.path], folder, tell)
    failed = 0
    for name in [asked.pin] if asked.pin else asked.engine or ENGINES:
        engine = ENGINES[name]
        try:
            if asked.pin and isinstance(engine, JavaEngine):
                tell(f"{name}: {pin(engine, folder)}")
                continue
            if not (folder / engine.file).exists():
                tell(f"{name}: fetching up to {engine.download} into {folder}; this takes minutes")
            tell(f"{name}: {fetch(engine, folder)}")
        except FetchError as error:
            failed = 1
            print(f"error: {name}: {error.what}\n  to fix:   {error.fix}", file=sys.stderr)
        except KeyboardInterrupt:
            print(f"error: {name}: interrupted\n  to fix:   {_REPEAT}", file=sys.stderr)
            return 1
    if folder.exists():
        tell(f"{_megabytes(folder)} in {folder}; nothing else refers to it, so it may be moved or deleted")
    return failed


def _tell_path(engine: JavaEngine | Prism, folder: Path, tell: Callable[[str], None]) -> int:
    ready = folder / engine.file
    if ready.exists():
        tell(str(ready))
        return 0
    print(f"error: no {engine.name} at {ready}", file=sys.stderr)
    print(f"  to fix:   fetch it with `scripts/engines {engine.name}`, or give --server FILE", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
