"""A model of Keras as a file, `.keras`, `.h5`, or `.weights.h5` beside its configuration -> graph and weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_scorer.errors import InputError
from train.importing.archive import JSON_BYTES, check_regular, parse_json, read_archive
from train.importing.graph import Graph, read_graph
from train.importing.hdf5 import SIGNATURE, Tree, read_tree
from train.importing.refusal import damaged, refuse
from train.importing.weights import Weight, of_layers

_PIECE = 1 << 20


@dataclass(frozen=True)
class ModelFile:
    """What is known of a model.

    Args:
        weights: those of each layer.
        version: of the Keras that wrote it, as it says so, or None.
        vocabularies: the lines of each vocabulary, by the path of its layer in the archive.
        sha256: of the file.
    """

    graph: Graph
    weights: Mapping[str, Sequence[Weight]]
    version: str | None
    vocabularies: Mapping[str, list[str]]
    sha256: str

    @property
    def generation(self) -> int | None:
        """The first number of the version: 2 or 3; None if neither the file nor its form tells."""
        first = (self.version or "").partition(".")[0]
        if first.isdigit():
            return int(first)
        keys = {key for layer in self.graph.layers.values() for key in layer.config}
        return 3 if self.graph.has_masks or "batch_shape" in keys else 2 if "batch_input_shape" in keys else None

    def vocabulary(self, layer: str) -> list[str] | None:
        """The lines of the vocabulary of a layer, if the file has them."""
        kinds = [x.name for x in self.graph.layers.values() if x.kind == "TextVectorization"]
        found = [lines for path, lines in sorted(self.vocabularies.items()) if not path.endswith("_lookup_layer")]
        return found[kinds.index(layer)] if layer in kinds and kinds.index(layer) < len(found) else None


def read_model(path: Path, config: Path | None) -> ModelFile:
    """Reads a model.

    Args:
        config: the configuration as JSON, of a file that holds weights only.

    Raises:
        InputError: it is not a model, or it is damaged, too large, or not made of layers.
    """
    first, sha256 = _look(path)
    given = parse_json(_bytes(config), str(config)) if config else None
    if first.startswith(b"PK"):
        if given is not None:
            raise refuse("a .keras file has its configuration", "--config", "a .weights.h5 file with it", str(path),
                         "leave --config out")  # fmt: skip
        archive = read_archive(path)
        graph = read_graph(archive.config, f"{path}, config.json")
        tree = read_tree(archive.weights, f"{path}, model.weights.h5")
        return ModelFile(graph, of_layers(tree, graph, str(path)), archive.version, archive.vocabularies, sha256)
    if not first.startswith(SIGNATURE):
        kind = (
            "a pickle, which could run code when it is loaded" if first[:1] == b"\x80" else f"it begins with {first!r}"
        )
        raise refuse("the file is not a model of Keras", str(path), "a .keras, .h5 or .weights.h5 file", kind,
                     "save the model with model.save('model.keras')")  # fmt: skip
    tree = read_tree(path, str(path))
    root = tree.attributes.get("", {})
    text = root.get("model_config")
    if given is None and not isinstance(text, str):
        raise refuse(
            "the file holds weights only",
            str(path),
            "the configuration of the model too",
            "no model_config",
            "give --config FILE with what model.to_json() returns",
        )
    model = given if given is not None else parse_json(str(text).encode(), f"{path}, model_config")
    graph = read_graph(model, str(config or path))
    return ModelFile(graph, of_layers(tree, graph, str(path)), _version(tree, model), {}, sha256)


def _version(tree: Tree, model: Mapping[str, Any]) -> str | None:
    places = (tree.attributes.get("", {}), tree.attributes.get("model_weights", {}), model)
    return next((str(x["keras_version"]) for x in places if isinstance(x.get("keras_version"), str)), None)


def _look(path: Path) -> tuple[bytes, str]:
    """The first bytes of a file, and its sha256."""
    if path.is_dir():
        raise refuse(
            "a directory is not a model file",
            str(path),
            "a .keras, .h5 or .weights.h5 file",
            "a directory"
            + (", as SavedModel has it: it holds a program" if (path / "saved_model.pb").exists() else ""),
            "load it where it was made, and save it with model.save('model.keras')",
        )
    check_regular(path)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            first = stream.read(8)
            digest.update(first)
            while piece := stream.read(_PIECE):
                digest.update(piece)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return first, digest.hexdigest()


def _bytes(path: Path) -> bytes:
    """All of a file of JSON."""
    check_regular(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(JSON_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if len(data) > JSON_BYTES:
        raise damaged(str(path), f"at most {JSON_BYTES:,} bytes", "more")
    return data


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError("the file cannot be read", where=str(path), got=getattr(error, "strerror", None) or str(error),
                      fix="check the path and its permissions")  # fmt: skip
