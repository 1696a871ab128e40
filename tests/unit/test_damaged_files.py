"""No damaged model file loads with other weights or metadata, and none ends the process."""

import json
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import by_hand
import damages
import pytest
import torch
from ase.calculators.calculator import CalculatorSetupError
from damages import records_of, rewritten
from generate import changed, toy_metadata, toy_models
from typer.testing import CliRunner

from lammps_les import _core, pretrained
from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.model_file import METADATA_FILE, ModelFileError, load_model, read_metadata
from lammps_les_export import write_model

Toy = Callable[..., Path]
FORMAT = (Path(__file__).parents[2] / "export" / "FORMAT.md").read_text()


def with_metadata(model: Path, target: Path, **changes: Any) -> Path:
    """A copy with other metadata and valid checksums."""
    records = records_of(model.read_bytes())
    name = next(name for name in records if name.endswith(METADATA_FILE))
    fields = changed(json.loads(records[name]), **changes)
    target.write_bytes(rewritten(records | {name: json.dumps(fields).encode()}))
    return target


@pytest.mark.parametrize(("name", "vouches"), [("linear", True), ("by_hand", False)])
def test_damages(toy_model: Toy, tmp_path: Path, name: str, vouches: bool) -> None:
    """Some 500 files: all are refused in one line that names them, or give the same energy."""
    model = str(toy_model(name))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", damages.__file__, model, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-1000:]
    outcomes = Counter()
    for line in done.stdout.splitlines():
        damage, outcome = line.split("\t")
        kind = damage.split()[0]
        # a file that does not vouch for its weights may have others, if all else is in order
        others = not vouches and kind in ("weights", "pickle", "swapped")
        assert outcome == "same" or outcome.startswith("refused") or others, line
        if outcome.startswith("refused"):
            assert str(tmp_path / "damaged.pt") in outcome, line
            assert "\\n" not in outcome, line
            assert len(outcome) < 600, line
        outcomes[kind, outcome.split()[0]] += 1
    assert sum(outcomes.values()) > 220
    assert outcomes["cut", "refused"] == 20
    if vouches:
        assert outcomes["weights", "same"] == 0
        assert outcomes["weights", "refused"] >= 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cutoff": 4.1}, "says 4.1 in its metadata field 'network.cutoff', but .* written with 4"),
        ({"layers": 2}, "'network.layers'"),
        ({"species": ["O", "H"]}, "says \"O\" in its metadata field 'network.species.0'"),
        (
            {"species": ["H", "O", "C"], "atomic_energies": dict.fromkeys("HOC", 0)},
            "'atomic_energies.C'",
        ),
        ({"species": ["H"]}, "field 'network.species', but its"),
        ({"dtype": "float32"}, "'network.dtype'"),
        ({"channels": 2, "sign": [1.0, 1.0]}, "'charges.channels'"),
        ({"channels": 0, "sign": [], "latents": []}, "'charges.channels'"),
        ({"sign": [-1.0]}, "'charges.sign.0'"),
        ({"norm": 80.0}, "'long_range.norm'"),
        ({"sigma": 1.1}, "'long_range.sigma'"),
        ({"epsilon_inf": 2.0}, "'response.epsilon_inf'"),
        ({"total": 1.0}, "says 1.0 in its metadata field 'charges.total', but .* with null"),
        ({"atomic_energies": {"H": 0.0, "O": 1.0}}, "'atomic_energies.O'"),
        ({"sigma": 1e-6}, "field 'long_range.sigma' of 1e-06, where 0.1 to 20 A is expected"),
        ({"norm": -1.0}, "field 'long_range.norm' of -1.0, where"),
        ({"dl": 1e6}, "field 'long_range.dl' of 1000000.0, where 0.1 to 50 A is"),
        ({"self_factor": 1e10}, "field 'long_range.self_factor' of"),
        ({"atomic_energies": {"H": 1e308, "O": 1e308}}, r"field 'atomic_energies' of 1e\+308"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_metadata_that_contradict_the_network(
    toy_model: Toy, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    model = with_metadata(toy_model("linear"), tmp_path / "m.pt", **changes)
    for read in (read_metadata, load_model, LesCalculator):
        with pytest.raises(ModelFileError, match=f"model file {model} .*{message}"):
            read(model)


def test_files_that_torch_saves_again_are_held_to_the_module(
    toy_model: Toy, tmp_path: Path
) -> None:
    extra = {METADATA_FILE: ""}
    module = torch.jit.load(str(toy_model("linear")), _extra_files=extra)
    copy = tmp_path / "m.pt"
    torch.jit.save(module, str(copy), _extra_files=extra)
    assert read_metadata(copy) == read_metadata(toy_model("linear"))
    name, tensor = max(module.state_dict().items(), key=lambda item: item[1].numel())
    tensor.view(-1)[0] += 1e-9
    torch.jit.save(module, str(copy), _extra_files=extra)
    with pytest.raises(ModelFileError, match=f"its weights '{name}' are not those that it was"):
        LesCalculator(copy)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_files_that_vouch_for_nothing(toy_model: Toy, tmp_path: Path, dtype: str) -> None:
    """Those by hand: sizes are held to the records all the same."""
    records = records_of(toy_model("by_hand", dtype).read_bytes())
    name = next(name for name in records if name.endswith("/data/1"))
    target = tmp_path / "m.pt"
    for data in (b"", records[name][:-1], records[name] + b"0"):
        target.write_bytes(rewritten(records | {name: data}))
        with pytest.raises(ModelFileError, match=rf"record 'data/1' has {len(data)} bytes, where"):
            LesCalculator(target)
    del records[name]
    target.write_bytes(rewritten(records))
    with pytest.raises(ModelFileError, match="it has no record 'data/1'"):
        read_metadata(target)


def test_format_md_says_how_a_file_vouches(tmp_path: Path) -> None:
    """Its lines for torch alone make a file that is refused where metadata or weights differ."""
    lines = FORMAT.split("With torch alone:\n\n")[1].split("\n## ")[0]
    code = "\n".join(line.removeprefix("    ") for line in lines.splitlines())
    fields = by_hand.metadata("float64")
    module = by_hand.ByHand(torch.float64)
    module.register_buffer("several", torch.arange(6, dtype=torch.int32).reshape(2, 3))
    module.register_buffer("none", torch.zeros(0, 2))
    module.register_buffer("number", torch.tensor(True))
    for n, wrong in enumerate(({}, {"several": 1}, {"fields": 1})):
        names = {"self": module, "fields": fields, "torch": torch, "json": json, "zlib": zlib}
        exec(code, names | {"Dict": dict})
        module.checksums["several"] += wrong.get("several", 0)
        type(module).__annotations__ = {"checksums": dict[str, int]}
        other = changed(fields, sigma=1.5) if "fields" in wrong else fields
        path = tmp_path / f"{n}.pt"
        extra = {METADATA_FILE: json.dumps(other)}
        torch.jit.save(torch.jit.script(module), str(path), _extra_files=extra)
        if not wrong:
            assert read_metadata(path).network.cutoff == by_hand.CUTOFF
            continue
        with pytest.raises(ModelFileError, match="weights 'several'|'long_range.sigma'"):
            read_metadata(path)


def test_tensors_need_not_be_contiguous(tmp_path: Path) -> None:
    """Offsets and strides are followed where torch writes them."""
    module = by_hand.ByHand(torch.float64)
    pair = torch.tensor([[9.0, 0.3], [9.0, 0.5]], dtype=torch.float64)
    module.strength = pair[:, 1]
    module.register_buffer("row", torch.zeros(1).expand(5))
    path, extra = tmp_path / "m.pt", {METADATA_FILE: json.dumps(by_hand.metadata("float64"))}
    torch.jit.save(torch.jit.script(module), str(path), _extra_files=extra)
    assert load_model(path)[0].strength.tolist() == [0.3, 0.5]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with open(tmp_path / "vast.pt", "wb") as vast:
        vast.truncate(1 << 40)
    for path, message in (
        (tmp_path / "nothing.pt", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / "vast.pt", "is larger than 4 GB"),
        (tmp_path / "loop", "cannot be read: Too many levels of symbolic links"),
        (Path("/dev/null"), "is not a file"),
    ):
        with pytest.raises(ModelFileError, match=f"model file {path} {message}"):
            read_metadata(path)


def test_other_archives(tmp_path: Path, toy_model: Toy) -> None:
    fields = json.dumps(by_hand.metadata("float64")).encode()
    path = tmp_path / "m.pt"
    for content, message in (
        (b"", "is no TorchScript archive, or was cut off"),
        (b"hello" * 100, "is no TorchScript archive, or was cut off"),
        (toy_model("linear").read_bytes()[:5000], "is no TorchScript archive, or was cut off"),
        (rewritten({"a/b": b"c"}), "holds no lammps_les.json"),
        (rewritten({"a/extra/lammps_les.json": fields}), "it has no record 'data.pkl'"),
        (rewritten({"a/extra/lammps_les.json": b"\xff"}), "lammps_les.json is not a JSON object"),
        (rewritten({"a/b": b"c", "b/b": b"c"}), "does not lie in the folder of the others"),
        (rewritten({"a/b": b"c", "a/B": b"c"}), "'B' stands twice in its directory"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=f"model file {path} .*{message}"):
            read_metadata(path)


@pytest.mark.parametrize("command", ["info", "evaluate"])
def test_commands_end_with_one_line(command: str, toy_model: Toy, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(toy_model("linear").read_bytes()[:-200])
    contradicts = with_metadata(toy_model("linear"), tmp_path / "contradicts.pt", cutoff=4.1)
    for model in (damaged, contradicts, tmp_path):
        arguments = [command, str(model), *(["data.xyz"] if command == "evaluate" else [])]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: model file {model}")
        assert result.stderr.count("\n") == 1


def test_checksums_are_those_of_zlib(tmp_path: Path) -> None:
    """Of lengths that are no multiple of what is taken at a time."""
    network = toy_models()["linear"][0]
    for n in range(36):
        network.register_buffer("more", torch.arange(n, dtype=torch.uint8))
        write_model(tmp_path / "m.pt", network, toy_metadata(network, "float64"))
        _core.read_metadata(str(tmp_path / "m.pt"))


def test_a_device_that_is_not_there(toy_model: Toy) -> None:
    with pytest.raises(CalculatorSetupError, match="device: expected cpu, cuda or cuda:N, got no"):
        LesCalculator(toy_model("linear"), device="nonsense")


def test_every_tensor_is_vouched_for(tmp_path: Path) -> None:
    """Also tables that a network makes anew from its sizes, and does not keep with its weights."""
    path = tmp_path / "m.pt"
    write_model(path, *pretrained.load("water_rpbe-d3"))
    records = records_of(path.read_bytes())
    names = [name for name in records if "/data/" in name]
    assert len(names) > 20
    for name in names:
        data = records[name]
        path.write_bytes(rewritten(records | {name: data[:-1] + bytes([data[-1] ^ 1])}))
        with pytest.raises(ModelFileError, match=f"model file {path} is damaged: its weights '"):
            read_metadata(path)
