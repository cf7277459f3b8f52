"""The arrays of an HDF5 file -> those of each layer, in the order in which Keras made them.

Keras 3 numbers them below `layers/`, by the classes of the layers; files of Keras 2 name them by layer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from train.importing.graph import Graph
from train.importing.hdf5 import Floats, Tree
from train.importing.refusal import damaged

_ROOTS = (
    "layers",
    "_layer_checkpoint_dependencies",
)  # of the new format; the second is that of TensorFlow 2.12 to 2.15


@dataclass(frozen=True)
class Weight:
    """An array of a layer.

    Args:
        path: where it is within the layer, such as `W1/vars/0` or `attention/dense/kernel`.
    """

    path: str
    values: Floats

    @property
    def owner(self) -> str:
        """Whose it is: the path without the last name."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def of_layers(tree: Tree, graph: Graph, where: str) -> dict[str, list[Weight]]:
    """The weights of each layer, by its name.

    Raises:
        InputError: the file is of neither layout.
    """
    root = next(
        (root for root in ("model_weights", "") if "layer_names" in _joined(tree.attributes.get(root, {}))), None
    )
    if root is not None:
        return {name: _by_name(tree, f"{root}/{name}".removeprefix("/"), where) for name in graph.layers}
    top = next((root for root in _ROOTS if root in tree.attributes), None)
    if top is None:
        raise damaged(where, "weights as Keras writes them", f"groups {', '.join(sorted(tree.attributes))[:100]}")
    return _by_class(tree, graph, top)


def _joined(attributes: Mapping[str, object]) -> set[str]:
    """Names of attributes; long ones are cut into pieces with numbers."""
    return {re.sub(r"\d+$", "", name) for name in attributes}


def _by_name(tree: Tree, group: str, where: str) -> list[Weight]:
    attributes = tree.attributes.get(group, {})
    pieces = sorted((name for name in attributes if re.fullmatch(r"weight_names\d*", name)), key=lambda x: (len(x), x))
    weights = []
    for piece in pieces:
        names = attributes[piece]
        for name in names if isinstance(names, list) else [names]:
            path = f"{group}/{name}"
            if path not in tree.arrays:
                raise damaged(f"{where}, {group:.100}", f"an array {name:.100}", "none")
            weights.append(Weight(name.removesuffix(":0"), tree.arrays[path]))
    return weights


def _by_class(tree: Tree, graph: Graph, top: str) -> dict[str, list[Weight]]:
    named = {
        str(values["name"]): path.removesuffix("/vars")
        for path, values in tree.attributes.items()
        if path.count("/") == 2 and path.startswith(f"{top}/") and path.endswith("/vars") and "name" in values
    }
    found, used = dict[str, list[Weight]](), Counter[str]()
    for layer in graph.layers.values():
        if layer.is_operation:
            continue
        snake = _snake(layer.kind)
        count = used[snake]
        used[snake] += 1
        group = named.get(layer.name) or f"{top}/{snake}{f'_{count}' if count else ''}"
        paths = [path for path in tree.arrays if path.startswith(f"{group}/") and "seed_generator" not in path]
        found[layer.name] = [
            Weight(path.removeprefix(f"{group}/"), tree.arrays[path]) for path in sorted(paths, key=_order)
        ]
    return found


def _order(path: str) -> tuple[object, ...]:
    """Forward before backward, groups by name, and variables by number."""
    owner, _, number = path.rpartition("/")
    return "backward_layer" in owner, owner, int(number) if number.isdigit() else 0, number


def _snake(name: str) -> str:
    """A class's name as Keras 3 writes it: `BatchNormalization` -> `batch_normalization`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
