"""Read ``torch.save`` files without running anything that they name.

A pickle is a program: it may import and call whatever it likes. This reader gives it nothing to
call. Names of the network packages become inert stubs that hold their state, a short list of
rebuild functions has stand-ins written here, and any other name ends the reading. Neither the
original packages nor the functions of torch that the file names are imported.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch

STUB_NAMESPACES = ("cace.", "les.", "torch.nn.")
"""Packages whose classes and functions are replaced by stubs."""

_REQUIRED = object()

_STORAGE_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


class UnsafePickleError(pickle.UnpicklingError, ValueError):
    """The file asks for something that a model does not need, or is damaged."""


class Stub:
    """Stand-in for an object of a class that is not imported; only holds what the pickle stored.

    Args:
        arguments: what the pickle gave to the constructor; kept, never used.

    The attribute ``kind`` of the class is the full name of the original, ``package.module.Class``.
    """

    __slots__ = ("arguments", "state")
    kind = ""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise UnsafePickleError(
                f"the state of {self.kind} is a {type(state).__name__}, expected attributes"
            )
        self.state = state

    def get(self, name: str, default: Any = _REQUIRED) -> Any:
        """Attribute ``name`` of the original: plain, parameter, buffer or child module.

        Raises:
            KeyError: the attribute is missing and no default was given.
        """
        for place in (
            self.state,
            *(self.state.get(k) for k in ("_parameters", "_buffers", "_modules")),
        ):
            if isinstance(place, dict) and name in place:
                return place[name]
        if default is _REQUIRED:
            raise KeyError(f"{self.kind} in this file has no attribute {name!r}")
        return default

    def children(self) -> list[Any]:
        """Child modules in their order (the items of a ``Sequential``, ``ModuleList`` ...)."""
        return list((self.state.get("_modules") or {}).values())

    def parameters(self) -> list[torch.Tensor]:
        """Own parameters in their order (the items of a ``ParameterList``)."""
        return list((self.state.get("_parameters") or {}).values())

    def __repr__(self) -> str:
        return f"<stub of {self.kind}>"


class _StandIn:
    """A callable that the pickle may use, and cannot alter."""

    __slots__ = ("_function", "name")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise UnsafePickleError(f"the file tries to change the function {self.name}")

    def __repr__(self) -> str:
        return f"<stand-in for {self.name}>"


class _NumpyType:
    """Stand-in for ``numpy.dtype``, limited to plain numbers."""

    __slots__ = ("code",)

    def __init__(self, code: str, *flags: Any) -> None:
        if code not in ("f8", "f4", "i8", "i4", "b1"):
            raise UnsafePickleError(
                f"numpy.dtype({code!r}) in the file, expected a plain number type"
            )
        self.code = code

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", "|")):
            raise UnsafePickleError("a numpy scalar in the file is not little-endian")


def _numpy_scalar(dtype: _NumpyType, data: bytes) -> Any:
    if not isinstance(dtype, _NumpyType) or not isinstance(data, bytes):
        raise UnsafePickleError("numpy scalar in the file is not made of a number type and bytes")
    return np.frombuffer(data, dtype="<" + dtype.code, count=1)[0].item()


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise UnsafePickleError(f"_codecs.encode with {encoding!r} in the file, expected 'latin1'")
    return text.encode("latin1")


def _bound_method(owner: Any, name: str) -> str:
    """A method stored as an attribute: its full name stands for it."""
    if not isinstance(owner, Stub) or not isinstance(name, str):
        raise UnsafePickleError(
            f"builtins.getattr({owner!r}, {name!r}) in the file: only methods of stubs may be named"
        )
    return f"{owner.kind}.{name}"


def _tensor(
    storage: torch.Tensor, offset: int, shape: Sequence[int], stride: Sequence[int], *_: Any
) -> torch.Tensor:
    if not isinstance(storage, torch.Tensor):
        raise UnsafePickleError("a tensor in the file is not built from a storage")
    last = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    if min((offset, *shape, *stride)) < 0 or (prod(shape) > 0 and last >= storage.numel()):
        raise UnsafePickleError(f"a tensor of shape {tuple(shape)} reaches outside its storage")
    return storage.as_strided(tuple(shape), tuple(stride), offset).clone()


def _set(items: Sequence[Any] = ()) -> set[Any]:
    return set(items)


def _ordered_dict(items: Sequence[Any] = ()) -> OrderedDict[Any, Any]:
    return OrderedDict(items)


_ALLOWED: dict[str, Any] = {
    name: _StandIn(name, function)
    for name, function in (
        ("builtins.set", _set),
        ("builtins.getattr", _bound_method),
        ("collections.OrderedDict", _ordered_dict),
        ("_codecs.encode", _encode),
        ("numpy.dtype", _NumpyType),
        ("numpy.core.multiarray.scalar", _numpy_scalar),
        ("numpy._core.multiarray.scalar", _numpy_scalar),
        ("torch.device", lambda *where: ":".join(str(part) for part in where)),
        ("torch._utils._rebuild_tensor_v2", _tensor),
        ("torch._utils._rebuild_parameter", lambda data, *_: data),
    )
} | {f"torch.{name}": dtype for name, dtype in _STORAGE_TYPES.items()}


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"))
        self._archive = archive
        self._root = root
        self._stubs: dict[str, type[Stub]] = {}
        self._storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if full_name in _ALLOWED:
            return _ALLOWED[full_name]
        if full_name.startswith(STUB_NAMESPACES):
            if full_name not in self._stubs:
                members = {"kind": full_name, "__slots__": ()}
                self._stubs[full_name] = type(name.rpartition(".")[2], (Stub,), members)
            return self._stubs[full_name]
        raise UnsafePickleError(
            f"the file asks for {full_name}, which is not among the names that a model file needs; "
            "nothing of it was run. If you trust it, load it with the program that wrote it "
            "and save the bare model again with torch.save(model, path)"
        )

    def persistent_load(self, key: Any) -> torch.Tensor:
        if not (isinstance(key, tuple) and len(key) == 5 and key[0] == "storage"):
            raise UnsafePickleError(
                "the file refers to an external object that is not a tensor storage"
            )
        _, dtype, name, _, count = key
        if not isinstance(dtype, torch.dtype) or not isinstance(name, str):
            raise UnsafePickleError("the file holds a storage of unknown type")
        if name not in self._storages:
            data = bytearray(self._archive.read(f"{self._root}/data/{name}"))
            if len(data) != count * dtype.itemsize:
                raise UnsafePickleError(
                    f"storage {name} has {len(data)} bytes, expected {count} numbers"
                )
            empty = torch.empty(0, dtype=dtype)
            self._storages[name] = torch.frombuffer(data, dtype=dtype) if data else empty
        return self._storages[name]


def load_pickle(path: str | Path) -> Any:
    """Read a ``torch.save`` file as containers, tensors and :class:`Stub` objects.

    Args:
        path: the file.

    Returns:
        The stored object. Parameters come back as plain tensors, ``torch.device`` as a string,
        stored methods as their full name, functions and classes of :data:`STUB_NAMESPACES` as
        subclasses of :class:`Stub`.

    Raises:
        UnsafePickleError: the file names anything that is neither a stub nor on the allow-list;
            nothing was run.
        ValueError: not a zip archive of ``torch.save``, or not little-endian.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is not a zip archive as torch.save writes it since version 1.6; load it with "
            "the program that wrote it, if you trust the file, and save it again"
        )
    with zipfile.ZipFile(path) as archive:
        roots = [n.removesuffix("/data.pkl") for n in archive.namelist() if n.endswith("/data.pkl")]
        if len(roots) != 1:
            raise ValueError(f"{path} is a zip archive, but holds no torch.save object (data.pkl)")
        byte_order = f"{roots[0]}/byteorder"
        if byte_order in archive.namelist() and archive.read(byte_order).strip() != b"little":
            raise ValueError(
                f"{path} was written on a big-endian machine; only little-endian files are read"
            )
        try:
            return _Reader(archive, roots[0]).load()
        except UnsafePickleError:
            raise
        except Exception as error:  # whatever a damaged or forged stream makes the unpickler raise
            raise UnsafePickleError(f"{path} is damaged or forged: {error}") from error
