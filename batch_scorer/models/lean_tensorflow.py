"""TensorFlow, as much of it as the compiled engine uses: half of its import, which takes longest of all at a start.

`import tensorflow` brings two thousand modules: the API of its first version, estimators' columns, the data service, an
old Keras, TensorFlow Lite. The engine uses twenty functions.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType, SimpleNamespace
from typing import Any

TRIED = ("2.21",)  # versions of which the parts were seen to work by themselves, and TensorFlow after them

# What the engine calls, as `tensorflow` names it -> the module below `tensorflow.python` that has it, its name there.
_PARTS = {
    "TensorArray": ("ops.tensor_array_ops", "TensorArray"),
    "TensorSpec": ("framework.tensor", "TensorSpec"),
    "as_dtype": ("framework.dtypes", "as_dtype"),
    "cast": ("ops.math_ops", "cast"),
    "clip_by_value": ("ops.clip_ops", "clip_by_value"),
    "concat": ("ops.array_ops", "concat"),
    "constant": ("framework.constant_op", "constant"),
    "float32": ("framework.dtypes", "float32"),
    "function": ("eager.polymorphic_function.polymorphic_function", "function"),
    "gather": ("ops.array_ops", "gather_v2"),
    "int32": ("framework.dtypes", "int32"),
    "matmul": ("ops.math_ops", "matmul"),
    "reduce_sum": ("ops.math_ops", "reduce_sum"),
    "split": ("ops.array_ops", "split"),
    "tanh": ("ops.math_ops", "tanh"),
    "where": ("ops.array_ops", "where_v2"),
    "while_loop": ("ops.while_loop", "while_loop_v2"),
    "zeros": ("ops.array_ops", "zeros"),
}
# Names of TensorFlow's, and those that imports ask for, which begin as those do that `inspect` asks of any module.
_OWN = (
    *("__internal__", "__operators__", "__version__", "__git_version__", "__compiler_version__", "__cxx_version__"),
    *("__cxx11_abi_flag__", "__monolithic_build__", "__path__", "__all__"),
)  # fmt: skip
_lock = threading.RLock()


def lean_tensorflow() -> Any | None:
    """The functions that the compiled engine uses, under their usual names, and what sets up TensorFlow's threads.

    They are TensorFlow's own, and what they compute is the same to the last bit. Whoever imports TensorFlow afterwards
    has all of it, which is imported as soon as anything of it is used.

    Returns:
        None: TensorFlow has been imported, is of a version that was not tried, or has not all of its parts where that
        version has them. Import it as it is.
    """
    found = sys.modules.get("tensorflow")
    return _parts() if found is None or isinstance(found, _Package) else None


class _Package(ModuleType):
    """The module of TensorFlow, without what its own code makes of it, for its parts to look each other up by its name.

    That code runs as soon as anything else is asked of the module, as `importlib.util.LazyLoader` has it: what others
    hold is then TensorFlow. Something below a package that is not imported yet is looked for in the package's path.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _OWN:
            raise AttributeError(name)
        with _lock:  # other threads wait until all of it is there
            if type(self) is _Package and not self.__dict__.get("_is_running"):
                self._run()
        if type(self) is _Package:  # its code is running, in this thread, and has not made that yet
            raise AttributeError(f"module 'tensorflow' has no attribute {name!r}")
        return getattr(self, name)

    def __dir__(self) -> list[str]:
        getattr(self, "__version__", None)
        return list(super().__dir__())

    def _run(self) -> None:
        """TensorFlow's own code, in this module."""
        spec = self.__spec__
        assert spec and spec.loader
        self._is_running, self.__path__ = True, list(spec.submodule_search_locations or ())
        try:
            spec.loader.exec_module(self)
            self.__class__ = ModuleType  # type: ignore[assignment]
        except BaseException:
            self.__dict__.pop("__path__", None)
            raise
        finally:
            del self._is_running


@cache
def _parts() -> Any | None:
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None or not _is_tried():
        return None
    package, place = _Package("tensorflow"), os.path.dirname(spec.origin)
    package.__path__, package.__spec__, package.__file__ = [place, os.path.join(place, "_api", "v2")], spec, spec.origin
    sys.modules["tensorflow"] = package
    try:
        importlib.import_module("tensorflow.python.pywrap_tensorflow")
        _part("compat.v2_compat", "enable_v2_behavior")()
        parts = SimpleNamespace(**{name: _part(*where) for name, where in _PARTS.items()})
        parts.errors = importlib.import_module("tensorflow.python.framework.errors_impl")
        parts.nn = SimpleNamespace(relu=_part("ops.gen_nn_ops", "relu"))
        product = _part("ops.gen_math_ops", "batch_mat_mul_v3")
        parts.raw_ops = SimpleNamespace(BatchMatMulV3=_part("framework.ops", "to_raw_op")(product))
        parts.config = SimpleNamespace(threading=importlib.import_module("tensorflow.python.framework.config"))
    except (ImportError, AttributeError):
        sys.modules.pop("tensorflow", None)
        return None
    del package.__path__  # asked for from now on by whoever imports more of it
    return parts


def _is_tried() -> bool:
    try:
        return ".".join(version("tensorflow").split(".")[:2]) in TRIED
    except PackageNotFoundError:  # as tensorflow-cpu, for instance
        return False


def _part(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"tensorflow.python.{module}"), name)
