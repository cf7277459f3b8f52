"""The arrays of an HDF5 file -> those of each layer, in the order in which Keras made them.

Keras 3 numbers them below `layers/`, by the classes of the layers; files of Keras 2 name them by layer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
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
    for root in ("model_weights", ""):
        if names := _listed(tree.attributes.get(root, {}), "layer_names"):
            groups = _groups(names, graph)
            return {name: _by_name(tree, f"{root}/{group}".removeprefix("/"), where) for name, group in groups.items()}
    top = next((root for root in _ROOTS if root in tree.attributes), None)
    if top is None:
        raise damaged(where, "weights as Keras writes them", f"groups {', '.join(sorted(tree.attributes))[:100]}")
    return _by_class(tree, graph, top)


def _listed(attributes: Mapping[str, object], name: str) -> list[str]:
    """A list of names among attributes, which is cut into pieces with numbers if it is long."""
    pieces = sorted((x for x in attributes if re.fullmatch(rf"{name}\d*", x)), key=lambda x: (len(x), x))
    found = list[str]()
    for piece in pieces:
        value = attributes[piece]
        found += value if isinstance(value, list) else [str(value)]
    return found


def _groups(names: Sequence[str], graph: Graph) -> dict[str, str]:
    """The group of each layer: that of its name, or of those left over, in order, where a class did not write one."""
    layers = [layer.name for layer in graph.layers.values() if not layer.is_operation]
    nameless = [name for name in layers if name not in names]
    left = [name for name in names if name not in layers]
    nameless = [name for name in nameless if graph.layers[name].kind != "InputLayer"]
    return {name: name for name in layers} | (
        dict(zip(nameless, left, strict=True)) if len(nameless) == len(left) else {}
    )


def _by_name(tree: Tree, group: str, where: str) -> list[Weight]:
    weights = []
    for name in _listed(tree.attributes.get(group, {}), "weight_names"):
        path = f"{group}/{name}"
        if path not in tree.arrays:
            raise damaged(f"{where}, {group:.100}", f"an array {name:.100}", "none")
        if "seed_generator" not in name:
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
