"""Fetches Flink, Spark and Prism into a cache, once each: `scripts/engines` runs it. Needs Python's own library only.

In: the pins in scripts/engine_files and the clients of the registries (Maven, pip, Go). Out: in the cache, one file for
each engine, which stands for all that the engine needs: it gets its name only when all of that has been verified.
"""

from __future__ import annotations

import argparse
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
from dataclasses import dataclass
from pathlib import Path

PINS = Path(__file__).parent / "engine_files"
CACHE = "BATCH_SCORER_ENGINES"
_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:2.8:build-classpath"
_LINE_BYTES = 70  # of a line in a jar's manifest, at most 72 with its end
_REPEAT = "run the same command again: whatever has arrived and is right is kept"


class FetchError(Exception):
    """An engine could not be fetched.

    Args:
        what: what went wrong.
        fix: the next step.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


@dataclass(frozen=True)
class JavaEngine:
    """An engine on the JVM: Beam's job server from Maven, and the engine's own jars from a source package of PyPI.

    Args:
        server: the job server's main class.
        beam: the version of Beam's runner.
        package: the package of PyPI, without its version.
        version: that of the engine.
        kept: the folders of the package that are unpacked; the first one has the jars.
        download: roughly how much comes over the network.
    """

    name: str
    server: str
    beam: str
    package: str
    version: str
    kept: tuple[str, ...]
    download: str
    needs = ("java", "mvn")

    @property
    def file(self) -> str:
        """The job server in the cache."""
        return f"{self.name}-{self.version}-beam-{self.beam}.jar"


@dataclass(frozen=True)
class Prism:
    """Beam's runner in Go, built from its source.

    Args:
        module: the module it is in.
        version: that of Beam.
        checksum: of the module, as `go.sum` has it.
    """

    module: str
    version: str
    checksum: str
    download: str
    name = "prism"
    needs = ("go",)

    @property
    def file(self) -> str:
        """The executable in the cache."""
        return f"prism-{self.version}"


# Flink 1.19 and Beam 2.70.0 are the newest of which Maven Central had all the parts when this was written.
ENGINES: dict[str, JavaEngine | Prism] = {
    engine.name: engine
    for engine in (
        JavaEngine(
            name="flink",
            server="org.apache.beam.runners.flink.FlinkJobServerDriver",
            beam="2.70.0",
            package="apache-flink-libraries",
            version="1.19.3",
            kept=("deps/lib", "deps/bin"),
            download="350 MB",
        ),
        JavaEngine(
            name="spark",
            server="org.apache.beam.runners.spark.SparkJobServerDriver",
            beam="2.70.0",
            package="pyspark",
            version="3.5.9",
            kept=("deps/jars", "deps/bin", "deps/sbin"),
            download="440 MB",
        ),
        Prism(
            module="github.com/apache/beam/sdks/v2",
            version="2.77.0",
            checksum="h1:RsC61pHEvtySEHAURQyP/+CVOJm/hy5hewuG9JF0+Ow=",
            download="200 MB",
        ),
    )
}
_TOOLS = {
    "java": "install Java 17: `apt install openjdk-17-jre-headless`, or `brew install openjdk@17`",
    "mvn": "install Maven: `apt install maven`, or `brew install maven`",
    "go": "install Go: https://go.dev/dl, or `brew install go`",
}


def cache() -> Path:
    """The folder that everything goes to: `BATCH_SCORER_ENGINES`, or one below `~/.cache`."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache/batch-scorer/engines").absolute()


def fetch(engine: JavaEngine | Prism, folder: Path, pins: Path = PINS) -> Path:
    """Fetches an engine unless it is there; returns its file.

    Raises:
        FetchError: a tool is missing, a download failed, or something has another checksum than its pin.
    """
    ready = folder / engine.file
    if ready.exists():
        return ready
    missing = [tool for tool in engine.needs if shutil.which(tool) is None]
    if missing:
        raise FetchError(f"{' and '.join(missing)} not found", "; ".join(_TOOLS[tool] for tool in missing))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".half-", dir=folder) as made:
        work = Path(made)
        done = _build_prism(engine, work) if isinstance(engine, Prism) else _assemble(engine, folder, work, pins)
        os.replace(done, ready)
    return ready


def _assemble(engine: JavaEngine, folder: Path, work: Path, pins: Path) -> Path:
    """A jar without content, whose class path names the job server's jars and then the engine's."""
    jars = _beams_jars(engine, folder / "maven", work, pins)
    home = folder / f"{engine.name}-{engine.version}"
    if not home.exists():
        os.replace(_unpacked(engine, folder / "packages", work, pins), home)
    jars += sorted((home / Path(engine.kept[0]).name).glob("*.jar"))
    names = " ".join(jar.as_uri() for jar in jars)
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
        words = ("mvn", "--batch-mode", "--no-transfer-progress", "--quiet", "--strict-checksums")
        options = (f"-Dmaven.repo.local={repository}", f"-Dmdep.outputFile={work / 'classpath'}")
        _run([*words, "--file", str(pins / f"{engine.name}.xml"), *options, _DEPENDENCIES])
    for path, expected in zip(paths, pinned.values(), strict=True):
        got = _sha256(path)
        if got != expected:
            path.unlink(missing_ok=True)
            raise FetchError(f"{path.name} is not the pinned file: expected sha256 {expected}, got {got}", _REPEAT)
    return paths


def _sha256(path: Path) -> str:
    if not path.exists():
        return "no file"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpacked(engine: JavaEngine, packages: Path, work: Path, pins: Path) -> Path:
    """The folders of the engine's package that are of use here; pip compares the package with its pin."""
    words = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    source = ("--no-binary", ":all:", "--require-hashes", "--requirement", str(pins / f"{engine.name}.txt"))
    _run([*words, *source, "--dest", str(packages)])
    archive = next(packages.glob(f"{engine.package.replace('-', '?')}-{engine.version}.tar.gz"))
    home = work / "home"
    with tarfile.open(archive) as packed:
        for member in packed:
            _, _, path = member.name.partition("/")
            kept = next((folder for folder in engine.kept if path.startswith(f"{folder}/")), None)
            if kept and member.isfile():
                member.name = f"{Path(kept).name}/{path[len(kept) + 1 :]}"
                packed.extract(member, home, filter="data")
    archive.unlink()
    return home


def _build_prism(engine: Prism, work: Path) -> Path:
    """Prism's executable; Go compares what it builds from with its own database, and we the module with its pin."""
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
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        told = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "nothing was said")
        what = f"`{Path(command[0]).name}` ended with exit code {done.returncode}: {told.strip()[:400]}"
        raise FetchError(what, f"check the network, or the proxy that it needs; then {_REPEAT}")
    return done.stdout


def _megabytes(path: Path) -> str:
    paths = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return f"{sum(one.stat().st_size for one in paths) / 1e6:,.0f} MB"


def main(words: Sequence[str], tell: Callable[[str], None] = print) -> int:
    """Fetches what `words` name, all of it by default; returns the exit code."""
    parser = argparse.ArgumentParser("scripts/engines", description="Fetches engines that run the job, once each.")
    parser.add_argument("engine", nargs="*", help=f"{', '.join(ENGINES)}; all by default")
    parser.add_argument("--path", choices=ENGINES, help="print where the engine's job server is, and fetch nothing")
    asked = parser.parse_args(words)
    unknown = [name for name in asked.engine if name not in ENGINES]
    if unknown:
        parser.error(f"no such engine: {unknown[0]}; choose from {', '.join(ENGINES)}")
    folder = cache()
    if asked.path:
        ready = folder / ENGINES[asked.path].file
        if not ready.exists():
            print(f"error: no {asked.path} at {ready}", file=sys.stderr)
            print(f"  to fix:   fetch it with `scripts/engines {asked.path}`, or give --server FILE", file=sys.stderr)
            return 2
        tell(str(ready))
        return 0
    failed = 0
    for name in asked.engine or ENGINES:
        engine = ENGINES[name]
        try:
            if not (folder / engine.file).exists():
                tell(f"{name}: fetching about {engine.download} into {folder}")
            tell(f"{name}: {fetch(engine, folder)}")
        except FetchError as error:
            failed = 1
            print(f"error: {name}: {error.what}\n  to fix:   {error.fix}", file=sys.stderr)
    if folder.exists():
        tell(f"{_megabytes(folder)} in {folder}; nothing else refers to it, so it may be deleted")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
