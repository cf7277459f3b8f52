"""Model files as Keras writes them, made without Keras: what tests change in them, no version of Keras would write."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

V, T, E, H, A = 12, 8, 5, 4, 3
WORDS = ("good", "bad", "film", "a", "the", "was", "not", "very")
INDEX = {"<OOV>": 1, **{word: at for at, word in enumerate(WORDS, 2)}}

Layer = dict[str, Any]  # class_name, config (with its name), and weights: path -> array


def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def arrays(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Random weights of these shapes, by path; `__` in a name is a slash."""
    drawn = rng()
    return {name.replace("__", "/"): drawn.normal(0, 0.6, shape).astype("f4") for name, shape in shapes.items()}


def layer(kind: str, name: str, weights: Mapping[str, np.ndarray] | None = None, **config: Any) -> Layer:
    return {"class_name": kind, "config": {"name": name, **config}, "weights": dict(weights or {})}


def embedding(mask: bool = False) -> Layer:
    weights = arrays(embeddings=(V, E))
    return layer("Embedding", "embedding", weights, mask_zero=mask, batch_input_shape=[None, T])


def bidirectional(kind: str = "LSTM", merge: str = "concat", **config: Any) -> Layer:
    gates = 4 if kind.endswith("LSTM") else 3
    bias = (2, gates * H) if config.get("reset_after") else (gates * H,)
    shapes = {"kernel": (E, gates * H), "recurrent_kernel": (H, gates * H), "bias": bias}
    weights = arrays(**{f"{way}__{name}": shape for way in ("forward", "backward") for name, shape in shapes.items()})
    usual = {"units": H, "activation": "tanh", "recurrent_activation": "sigmoid", "return_sequences": True}
    inner = {"class_name": kind, "config": {"name": "rnn", **usual, **config}}
    return layer("Bidirectional", "bidirectional", weights, layer=inner, merge_mode=merge)


def attention(**shapes: tuple[int, ...]) -> Layer:
    return layer("MyAttention", "my_attention", arrays(**(shapes or {"W": (2 * H, A), "b": (A,), "u": (A,)})))


def dense(inputs: int = 2 * H, units: int = 1, activation: str = "sigmoid", name: str = "dense") -> Layer:
    weights = arrays(kernel=(inputs, units), bias=(units,))
    return layer("Dense", name, weights, units=units, activation=activation)


def usual(**parts: Layer) -> list[Layer]:
    """A sequential model that can be imported, or with some parts replaced."""
    made = {"embedding": embedding(), "rnn": bidirectional(), "attention": attention(), "head": dense()}
    return list({**made, **parts}.values())


def functional(layers: Sequence[Layer], calls: Mapping[str, Any], output: str) -> dict[str, Any]:
    """A configuration of Keras 2: `calls` has the inbound nodes of each layer."""
    listed = [
        {"class_name": x["class_name"], "config": x["config"], "name": (n := x["config"]["name"]),
         "inbound_nodes": calls.get(n, [])}
        for x in layers
    ]  # fmt: skip
    return {"class_name": "Functional", "config": {"layers": listed, "output_layers": [[output, 0, 0]]}}


def sequential(layers: Sequence[Layer]) -> dict[str, Any]:
    listed = [{"class_name": x["class_name"], "config": x["config"]} for x in layers]
    return {"class_name": "Sequential", "config": {"layers": listed}}


def write_h5(
    path: Path, layers: Sequence[Layer], model: Mapping[str, Any] | None = None, version: str = "2.15.0"
) -> Path:
    """A whole model as Keras 2 writes it."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model or sequential(layers))
        file.attrs["keras_version"] = version
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [x["config"]["name"] for x in layers]
        for entry in layers:
            name = entry["config"]["name"]
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{weight}:0" for weight in entry["weights"]] or np.zeros(0, "S1")
            for weight, values in entry["weights"].items():
                group[f"{name}/{weight}:0"] = values
    return path


def write_keras(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """A `.keras` archive of these members."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def members(layers: Sequence[Layer] = (), weights: bytes | None = None) -> dict[str, bytes]:
    """What an archive holds: a sequential model, its weights by class as Keras 3 numbers them."""
    layers = layers or usual()
    return {
        "metadata.json": json.dumps({"keras_version": "3.5.0"}).encode(),
        "config.json": json.dumps(sequential(layers)).encode(),
        "model.weights.h5": weights if weights is not None else by_class(layers),
    }


def by_class(layers: Sequence[Layer]) -> bytes:
    """Weights as Keras 3 writes them, without the names of the layers."""
    buffer, snake = io.BytesIO(), {"MyAttention": "my_attention"}
    with h5py.File(buffer, "w") as file:
        for entry in layers:
            group = f"layers/{snake.get(entry['class_name'], entry['class_name'].lower())}"
            for number, (path, values) in enumerate(entry["weights"].items()):
                way = path.rpartition("/")[0]
                below = f"{way}_layer/cell/vars/{number % 3}" if way else f"vars/{number}"
                file[f"{group}/{below}"] = values
    return buffer.getvalue()


def write_index(path: Path, index: Mapping[str, int] | None = None) -> Path:
    path.write_text(json.dumps(index or INDEX), encoding="utf-8")
    return path
