"""Checkpoints are read without running what they name."""

import builtins
import functools
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from lammps_les_export.unpickler import Stub, UnsafePickleError, load_pickle


def write_archive(path: Path, data: bytes) -> Path:
    """A file as torch.save writes it, with any pickle inside."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")
    return path


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        """Function and its arguments."""
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        """What the pickle says."""
        return self.function, self.arguments


def name(full_name: str) -> bytes:
    """Opcodes that push a name, protocol 0."""
    module, _, attribute = full_name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("function", "named"),
    [
        (os.system, "system"),
        (builtins.eval, "builtins.eval"),
        (builtins.exec, "builtins.exec"),
        (builtins.__import__, "__import__"),
        (functools.partial(os.system), "functools.partial"),
        (torch.hub.load, "torch.hub"),
        (torch.load, "torch"),
        (pickle.loads, "loads"),
    ],
)
def test_functions_outside_the_list_are_refused(tmp_path, function, named, protocol):
    marker = tmp_path / "ran"
    data = pickle.dumps(Call(function, f"touch {marker}"), protocol)
    with pytest.raises(UnsafePickleError, match=named) as error:
        load_pickle(write_archive(tmp_path / "model.pth", data))
    assert "nothing of it was run" in str(error.value)
    assert "torch.save(model, path)" in str(error.value)
    assert not marker.exists()


def test_the_payload_would_have_run(tmp_path):
    marker = tmp_path / "ran"
    pickle.loads(pickle.dumps(Call(os.system, f"touch {marker}")))
    assert marker.exists()


def test_names_reached_through_a_stub_package_are_stubs(tmp_path):
    """Protocol 4 allows dotted names: torch.nn.modules + "module.torch.hub.load"."""
    dotted = b"\x80\x04\x8c\x10torch.nn.modules\x8c\x15module.torch.hub.load\x93"
    data = dotted + b"\x8c\x04evil\x85R."
    loaded = load_pickle(write_archive(tmp_path / "model.pth", data))
    assert isinstance(loaded, Stub)
    assert loaded.kind == "torch.nn.modules.module.torch.hub.load"
    assert loaded.arguments == ("evil",)


@pytest.mark.parametrize("attribute", ["__class__", "__init__", "__reduce__", "forward"])
def test_getattr_gives_a_name_and_nothing_to_call(tmp_path, attribute):
    fetch = name("builtins.getattr") + b"(" + name("cace.modules.Any") + b"(tR"
    data = fetch + f"V{attribute}\ntR".encode()
    loaded = load_pickle(write_archive(tmp_path / "model.pth", data + b"."))
    assert loaded == f"cace.modules.Any.{attribute}"
    with pytest.raises(UnsafePickleError, match="not callable"):
        load_pickle(write_archive(tmp_path / "called.pth", data + b"(tR."))


def test_getattr_of_anything_but_a_stub_is_refused(tmp_path):
    data = name("builtins.getattr") + b"(" + name("builtins.set") + b"V__class__\ntR."
    with pytest.raises(UnsafePickleError, match="only methods of stubs"):
        load_pickle(write_archive(tmp_path / "model.pth", data))


@pytest.mark.parametrize("target", ["builtins.set", "torch._utils._rebuild_tensor_v2"])
def test_state_cannot_change_a_function(tmp_path, target):
    data = name(target) + b"(N(V_function\nNdtb."
    with pytest.raises(UnsafePickleError, match="tries to change"):
        load_pickle(write_archive(tmp_path / "model.pth", data))
    assert load_pickle(write_archive(tmp_path / "good.pth", pickle.dumps({1}, 2))) == {1}


def test_state_cannot_change_a_stub_class(tmp_path):
    data = name("cace.modules.Any") + b"(V__setstate__\nV__init__\ndb."
    with pytest.raises(UnsafePickleError, match="damaged or forged"):
        load_pickle(write_archive(tmp_path / "model.pth", data))
    assert Stub.__setstate__.__qualname__ == "Stub.__setstate__"


def test_state_of_a_stub_stays_data(tmp_path):
    """A state that names methods does not become methods."""
    data = name("cace.modules.Any") + b"(tR(V__setstate__\nVa\nV__class__\nVb\nVx\nI7\ndb."
    loaded = load_pickle(write_archive(tmp_path / "model.pth", data))
    assert loaded.get("x") == 7
    assert loaded.get("__class__") == "b"
    assert callable(loaded.__setstate__)
    assert loaded.kind == "cace.modules.Any"
    with pytest.raises(KeyError, match="no attribute 'y'"):
        loaded.get("y")


def test_state_of_a_stub_must_be_attributes(tmp_path):
    data = name("cace.modules.Any") + b"(tR(I1\nI2\ntb."
    with pytest.raises(UnsafePickleError, match="is a tuple, expected attributes"):
        load_pickle(write_archive(tmp_path / "model.pth", data))


def test_modules_come_back_as_stubs_with_their_tensors(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.SiLU())
    path = tmp_path / "model.pth"
    torch.save({"net": module, "set": {1, 2}, "view": torch.arange(6.0).view(2, 3).t()}, path)
    loaded = load_pickle(path)
    linear = loaded["net"].children()[0]
    assert linear.kind == "torch.nn.modules.linear.Linear"
    assert torch.equal(linear.get("weight"), module[0].weight)
    assert torch.equal(linear.parameters()[1], module[0].bias)
    assert not linear.get("weight").requires_grad
    assert loaded["set"] == {1, 2}
    assert torch.equal(loaded["view"], torch.arange(6.0).view(2, 3).t())


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [((8,), (1,), 0), ((2, 2), (4, 1), 0), ((2,), (1,), 3), ((2,), (-1,), 2)],
)
def test_tensors_stay_inside_their_storage(tmp_path, shape, stride, offset):
    stored = object()

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return ("storage", torch.FloatStorage, "0", "cpu", 4) if obj is stored else None

    stream = io.BytesIO()
    rebuild = torch._utils._rebuild_tensor_v2
    Pickler(stream, 2).dump(Call(rebuild, stored, offset, shape, stride, False, OrderedDict()))
    path = write_archive(tmp_path / "model.pth", stream.getvalue())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", bytes(16))
    with pytest.raises(UnsafePickleError, match="outside its storage"):
        load_pickle(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match="not a zip archive"):
        load_pickle(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(ValueError, match="no torch.save object"):
        load_pickle(path)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(path))
    with pytest.raises(UnsafePickleError, match="__torch__"):
        load_pickle(path)


def test_truncated_pickle_is_refused(tmp_path):
    with pytest.raises(UnsafePickleError, match="damaged or forged"):
        load_pickle(write_archive(tmp_path / "model.pth", pickle.dumps([1, 2], 2)[:-1]))
