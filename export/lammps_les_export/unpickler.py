"""Read ``torch.save`` files without running anything that they name.

A pickle is a program: it may import and call whatever it likes. It is read here by torch's own
restricted reader (``torch.load`` with ``weights_only``), which knows a few functions that rebuild
tensors and otherwise what the caller allows. Allowed are inert stubs for the names of the network
packages, made for this one reading, and stand-ins for what a stored model refers to outside of
them. Any other name ends the reading before it begins. None of these packages is imported.
"""

import contextlib
import pickle
import pickletools
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

STUB_NAMESPACES = ("cace.", "les.", "mace.", "e3nn.", "torch.nn.", "torch.fx.")
"""Packages whose classes and functions are replaced by stubs."""

_TORCH_READS = {
    *("builtins.set", "collections.OrderedDict", "_codecs.encode", "torch.device"),
    *("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"),
    *(f"torch.{kind}Storage" for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int")),
    *(f"torch.{kind}Storage" for kind in ("Short", "Char", "Byte", "Bool")),
}
"""What a model needs of the names that torch's reader knows; others of them take any amount of
memory (``bytearray``), or make tensors that are not plain."""

_REQUIRED = object()


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
    arguments: tuple[Any, ...]
    state: dict[str, Any]

    def __new__(cls, *arguments: Any) -> "Stub":
        """A pickle may make objects with and without ``__init__``."""
        stub = super().__new__(cls)
        stub.arguments = arguments
        stub.state = {}
        return stub

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
                return _detached(place[name])
        if default is _REQUIRED:
            raise KeyError(f"{self.kind} in this file has no attribute {name!r}")
        return default

    def children(self) -> list[Any]:
        """Child modules in their order (the items of a ``Sequential``, ``ModuleList`` ...)."""
        return list((self.state.get("_modules") or {}).values())

    def parameters(self) -> list[torch.Tensor]:
        """Own parameters in their order (the items of a ``ParameterList``)."""
        return [_detached(p) for p in (self.state.get("_parameters") or {}).values()]

    def __repr__(self) -> str:
        return f"<stub of {self.kind}>"


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value


def _bound_method(owner: Any, name: str) -> str:
    """A method stored as an attribute: its full name stands for it."""
    if not isinstance(owner, Stub) or not isinstance(name, str):
        raise UnsafePickleError(
            f"builtins.getattr({owner!r}, {name!r}) in the file: only methods of stubs may be named"
        )
    return f"{owner.kind}.{name}"


class _NumpyType:
    """Stand-in for ``numpy.dtype``."""

    def __init__(self, code: str, *flags: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        self.code = state[1] + self.code


def _numpy_scalar(dtype: Any, data: bytes) -> Any:
    code = dtype.code if isinstance(dtype, _NumpyType) else dtype
    if code not in ("<f8", "<f4", "<i8", "<i4", "|b1"):
        raise UnsafePickleError(f"numpy number of type {code!r} in the file, expected a plain one")
    return np.frombuffer(data, dtype=code, count=1)[0].item()


_STAND_INS: dict[str, Any] = {
    "builtins.getattr": _bound_method,
    "numpy.dtype": _NumpyType,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy._core.multiarray.scalar": _numpy_scalar,
}


def _names(path: str | Path) -> set[str]:
    """Full names that the pickle in a file asks for.

    Raises:
        UnsafePickleError: damaged, or not as ``torch.save`` writes it.
    """
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise UnsafePickleError(
                f"{path} is a zip archive, but holds no torch.save object (data.pkl)"
            )
        if damaged := archive.testzip():  # torch's reader looks at no checksum
            raise UnsafePickleError(f"{path} is damaged: {damaged} has another checksum")
        pickled = archive.read(pickles[0])
    operations = [(code.name, argument) for code, argument, _ in pickletools.genops(pickled)]
    if operations[0] != ("PROTO", 2):
        raise UnsafePickleError(f"{path} is not of pickle protocol 2, which torch.save writes")
    asked = {str(argument).replace(" ", ".") for name, argument in operations if name == "GLOBAL"}
    return {re.sub(r"^__builtin__\.", "builtins.", name) for name in asked}


def _stand_in(full_name: str) -> Any:
    if full_name in _STAND_INS:
        return _STAND_INS[full_name]
    if full_name.startswith(STUB_NAMESPACES):
        members = {"kind": full_name, "__slots__": ()}
        return type(full_name.rpartition(".")[2], (Stub,), members)
    raise UnsafePickleError(
        f"the file asks for {full_name}, which is not among the names that a model file needs; "
        "nothing of it was run. If you trust it, load it with the program that wrote it "
        "and save the bare model again with torch.save(model, path)"
    )


def _refuse_repeated(root: Any, path: str | Path) -> None:
    """Refuse tensors that show a stored number in many places: a small file asks for any memory."""
    seen, waiting = set(), [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            stored = value.untyped_storage().nbytes() // value.element_size()
            if value.numel() > stored:
                raise UnsafePickleError(
                    f"{path} has a tensor of shape {list(value.shape)}, of which the file holds "
                    f"{stored} number(s)"
                )
        elif isinstance(value, Stub):
            waiting += [value.arguments, value.state]
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, (list, tuple, set)):
            waiting += value


def load_pickle(path: str | Path) -> Any:
    """Read a ``torch.save`` file as containers, tensors and :class:`Stub` objects.

    Args:
        path: the file.

    Returns:
        The stored object, tensors on the CPU. Stored methods come back as their full name,
        functions and classes of :data:`STUB_NAMESPACES` as subclasses of :class:`Stub`.

    Raises:
        UnsafePickleError: the file names anything that is neither a stub nor on the allow-list;
            nothing was run. Or it is damaged, or a tensor has more numbers than are stored.
        ValueError: not a zip archive.
    """
    with contextlib.suppress(zipfile.BadZipFile):  # of a damaged one, as is said below
        if not zipfile.is_zipfile(path):
            raise ValueError(
                f"{path} is not a zip archive as torch.save writes it since version 1.6; load it "
                "with the program that wrote it, if you trust the file, and save it again"
            )
    others = torch.serialization.get_safe_globals()  # another package's would shadow a stub
    torch.serialization.clear_safe_globals()
    try:
        asked = sorted(_names(path) - _TORCH_READS)
        allowed: list[Any] = [(_stand_in(name), name) for name in asked]
        with torch.serialization.safe_globals(allowed):
            root = torch.load(path, map_location="cpu", weights_only=True)
        _refuse_repeated(root, path)
        return root
    except UnsafePickleError:
        raise
    except Exception as error:  # whatever a damaged or forged stream makes the reader raise
        # torch wraps what it found into advice to read the file unrestricted
        found = re.search(r"WeightsUnpickler error:\s*(.*)", str(error))
        reason = found[1] if found else error
        raise UnsafePickleError(f"{path} is damaged or forged: {reason}") from None
    finally:
        torch.serialization.add_safe_globals(others)
