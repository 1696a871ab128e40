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
    """Opcodes that push a name."""
    module, _, attribute = full_name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    """Opcodes that push a text."""
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def load(tmp_path: Path, opcodes: bytes):
    """What a pickle of these opcodes is read as."""
    return load_pickle(write_archive(tmp_path / "model.pth", b"\x80\x02" + opcodes + b"."))


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
def test_functions_outside_the_list_are_refused(tmp_path, function, named):
    marker = tmp_path / "ran"
    path = tmp_path / "model.pth"
    call = Call(function, f"touch {marker}")
    with pytest.raises(UnsafePickleError, match=named) as error:
        load_pickle(write_archive(path, pickle.dumps(call, 2)))
    assert "nothing of it was run" in str(error.value)
    assert "torch.save(model, path)" in str(error.value)
    with pytest.raises(UnsafePickleError, match="not of pickle protocol 2"):
        load_pickle(write_archive(path, pickle.dumps(call, 4)))
    assert not marker.exists()


def test_the_payload_would_have_run(tmp_path):
    marker = tmp_path / "ran"
    pickle.loads(pickle.dumps(Call(os.system, f"touch {marker}"), 2))
    assert marker.exists()


@pytest.mark.parametrize(
    "allocates", ["__builtin__.bytearray", "torch.FloatTensor", "torch.UntypedStorage"]
)
def test_names_that_take_any_amount_of_memory_are_refused(tmp_path, allocates):
    with pytest.raises(UnsafePickleError, match=allocates.rpartition(".")[2]):
        load(tmp_path, name(allocates) + b"J\xff\xff\xff\x7f\x85R")


@pytest.mark.parametrize(
    "function",
    ["torch.nn.modules.module.torch.hub.load", "torch.fx.graph_module.reduce_graph_module"],
)
def test_functions_of_a_stub_package_are_stubs(tmp_path, function):
    """The second compiles the code that the file gives it, the first is reached by its way."""
    module, attribute = "torch.nn.modules", function.removeprefix("torch.nn.modules.")
    asked = f"c{module}\n{attribute}\n".encode() if attribute != function else name(function)
    marker = tmp_path / "ran"
    code = f"import os; os.system('touch {marker}')"
    loaded = load(tmp_path, asked + b"}" + text("_code") + text(code) + b"s" + text("") + b"\x86R")
    assert isinstance(loaded, Stub)
    assert loaded.kind == function
    assert loaded.arguments == ({"_code": code}, "")
    assert not marker.exists()


@pytest.mark.parametrize("attribute", ["__class__", "__init__", "__reduce__", "forward"])
def test_getattr_gives_a_name_and_nothing_to_call(tmp_path, attribute):
    stub = name("cace.modules.Any") + b")R"
    fetch = name("__builtin__.getattr") + stub + text(attribute) + b"\x86R"
    assert load(tmp_path, fetch) == f"cace.modules.Any.{attribute}"
    with pytest.raises(UnsafePickleError, match="reduce for unrecognized function"):
        load(tmp_path, fetch + b")R")


@pytest.mark.parametrize("owner", ["__builtin__.set", "__builtin__.getattr", "cace.modules.Any"])
def test_getattr_of_anything_but_a_stub_is_refused(tmp_path, owner):
    fetch = name("__builtin__.getattr") + name(owner) + text("__class__") + b"\x86R"
    with pytest.raises(UnsafePickleError, match="only methods of stubs"):
        load(tmp_path, fetch)


@pytest.mark.parametrize(
    "target",
    [
        *("__builtin__.set", "__builtin__.getattr", "torch._utils._rebuild_tensor_v2"),
        *("numpy.dtype", "numpy.core.multiarray.scalar", "cace.modules.Any"),
    ],
)
def test_state_cannot_change_a_function_or_a_class(tmp_path, target):
    before = Stub.__setstate__
    state = b"}" + text("__setstate__") + text("a") + b"s" + text("__call__") + text("b") + b"s"
    with pytest.raises(UnsafePickleError, match="Can only build"):
        load(tmp_path, name(target) + state + b"b")
    with pytest.raises(UnsafePickleError, match="Can only build"):
        load(tmp_path, name(target) + b"N" + state + b"\x86b")
    assert Stub.__setstate__ is before
    path = write_archive(tmp_path / "good.pth", pickle.dumps({1}, 2))
    assert load_pickle(path) == {1}


def test_state_of_a_stub_stays_data(tmp_path):
    """A state that names methods does not become methods."""
    names = {"__setstate__": "a", "__class__": "b", "get": "c", "x": "d"}
    state = b"}" + b"".join(text(k) + text(v) + b"s" for k, v in names.items())
    loaded = load(tmp_path, name("cace.modules.Any") + b")R" + state + b"b")
    assert loaded.state == names
    assert loaded.get("x") == "d"
    assert loaded.get("__class__") == "b"
    assert callable(loaded.__setstate__)
    assert loaded.kind == "cace.modules.Any"
    with pytest.raises(KeyError, match="no attribute 'y'"):
        loaded.get("y")


@pytest.mark.parametrize("state", [b"K\x01K\x02\x86", b"N}\x86", text("x")])
def test_state_of_a_stub_must_be_attributes(tmp_path, state):
    with pytest.raises(UnsafePickleError, match="expected attributes"):
        load(tmp_path, name("cace.modules.Any") + b")R" + state + b"b")


def test_stubs_hold_the_arguments_of_either_way_to_make_them(tmp_path):
    for make in (b"R", b"\x81"):
        loaded = load(tmp_path, name("e3nn.o3._irreps.Irrep") + b"K\x01K\x02\x86" + make)
        assert (loaded.kind, loaded.arguments) == ("e3nn.o3._irreps.Irrep", (1, 2))
        assert loaded.state == {}


def test_nothing_is_left_allowed_behind(tmp_path):
    """Nor does what others allowed stand in a stub's place."""
    others = [(os.system, "cace.modules.Any"), (slice, "builtins.slice")]
    with torch.serialization.safe_globals(others):
        before = set(torch.serialization.get_safe_globals())
        loaded = load(tmp_path, name("cace.modules.Any") + text("true") + b"\x85R")
        assert loaded.arguments == ("true",)
        assert set(torch.serialization.get_safe_globals()) == before
        with pytest.raises(UnsafePickleError, match=r"asks for builtins\.slice"):
            load(tmp_path, name("__builtin__.slice"))
        assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(UnsafePickleError, match="only methods of stubs"):
        load(tmp_path, name("__builtin__.getattr") + name("cace.modules.Any") + b"N\x86R")
    with pytest.raises(pickle.UnpicklingError, match="Unsupported global"):
        torch.load(tmp_path / "model.pth", weights_only=True)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (("module", "a.py", "0", "cpu", 4), "Only persistent_load of storage"),
        ("storage", "must be tuple or int"),
        (7, "must be a tuple"),
        (("storage", 1, "0", "cpu", 4), "no attribute 'dtype'"),
        (("storage", torch.FloatStorage, "../../0", "cpu", 4), "not found|failed finding"),
        (("storage", torch.FloatStorage, "0", "cpu", 10**6), "does not match expected size"),
        (("storage", torch.FloatStorage, "0", "cpu", 10**18), "does not match expected size"),
        (("storage", torch.FloatStorage, "0", "cpu", -4), "incompatible function arguments"),
    ],
)
def test_outside_objects_are_storages_of_the_size_they_say(tmp_path, reference, message):
    with pytest.raises(UnsafePickleError, match=message):
        load_pickle(write_tensor(tmp_path / "model.pth", reference, 0, (4,), (1,)))


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [
        *(((8,), (1,), 0), ((2, 2), (4, 1), 0), ((2,), (1,), 3), ((2,), (-1,), 2)),
        *(((2,), (1,), -1), ((3,), (2**62,), 0), ((2**33, 2**33), (1, 1), 0)),
    ],
)
def test_tensors_stay_inside_their_storage(tmp_path, shape, stride, offset):
    storage = ("storage", torch.FloatStorage, "0", "cpu", 4)
    good = load_pickle(write_tensor(tmp_path / "good.pth", storage, 1, (3,), (1,)))
    assert torch.equal(good, torch.zeros(3))
    with pytest.raises(UnsafePickleError, match="damaged or forged"):
        load_pickle(write_tensor(tmp_path / "model.pth", storage, offset, shape, stride))


def write_tensor(path: Path, reference, offset, shape, stride) -> Path:
    """A file of one tensor on a storage of four zeros, float32."""
    stored = object()

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return reference if obj is stored else None

    stream = io.BytesIO()
    rebuild = torch._utils._rebuild_tensor_v2
    Pickler(stream, 2).dump(Call(rebuild, stored, offset, shape, stride, False, OrderedDict()))
    write_archive(path, stream.getvalue())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", bytes(16))
    return path


def test_changed_weights_are_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(torch.arange(1000.0), path)
    changed = path.read_bytes().replace(torch.tensor(7.0).numpy().tobytes(), b"\0\0\0\0")
    path.write_bytes(changed)
    with pytest.raises(UnsafePickleError, match="data/0 has another checksum"):
        load_pickle(path)


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


def test_every_published_checkpoint_is_read(shared):
    """Of CACE, MACE, NequIP and Allegro; none of them is installed."""
    paths = [
        p for p in (shared / "checkpoints").iterdir() if p.suffix in (".pth", ".model", ".ckpt")
    ]
    assert {p.suffix for p in paths} == {".pth", ".model", ".ckpt"}
    for path in paths:
        assert isinstance(load_pickle(path), dict if path.suffix == ".ckpt" else Stub), path


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"weights": [torch.zeros(1, 1).expand(10**6, 10**5)]}, path)
    with pytest.raises(UnsafePickleError, match="1000000, 100000.*of which the file holds 1"):
        load_pickle(path)
