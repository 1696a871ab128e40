"""Model files that cannot be used, and networks that fail: every rank ends, with one message."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from damages import records_of, rewritten
from generate import changed
from test_errors import Toy, Water, error_of


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "truncated",
        "foreign",
        "text",
        "version",
        "old",
        "field",
        "type",
        "unknown_latent",
    ],
)
def test_model_file(kind: str, water: Water, toy_model: Toy, tmp_path: Path) -> None:
    good = toy_model("linear")
    model = tmp_path / "model.pt"
    extra = {"lammps_les.json": ""}
    module = torch.jit.load(str(good), _extra_files=extra)
    metadata = json.loads(extra["lammps_les.json"])
    if kind == "truncated":
        model.write_bytes(good.read_bytes()[:-3000])
    elif kind == "text":
        model.write_text("not a model")
    elif kind == "foreign":
        torch.jit.save(module, str(model))
    elif kind in ("version", "old", "field", "type", "unknown_latent"):
        if kind == "version":
            metadata["format_version"] = 99
        elif kind == "old":
            metadata["format_version"] = 1
        elif kind == "unknown_latent":
            metadata["latents"].append("octupole")
        elif kind == "field":
            del metadata["long_range"]["sigma"]
        else:
            metadata["network"]["cutoff"] = "four"
        torch.jit.save(module, str(model), _extra_files={"lammps_les.json": json.dumps(metadata)})
    expected = {
        "missing": "does not exist",
        "truncated": "is no TorchScript archive, or was cut off",
        "text": "is no TorchScript archive, or was cut off",
        "foreign": "holds no lammps_les.json",
        "version": "has format version 99, but this lammps-les reads version 2",
        "field": "lacks the metadata field 'long_range.sigma'",
        "type": "metadata field 'network.cutoff' of the wrong type",
        "old": "reads version 2; make a new file with 'lammps-les export SOURCE -o FILE'",
        "unknown_latent": 'gives "octupole" as latents, which this lammps-les cannot use',
    }[kind]
    for ranks in (1, 2):
        assert expected in error_of(tmp_path / "run", water(2, spacing=4.0), model, ranks=ranks)
    assert kind != "truncated" or not zipfile.is_zipfile(model)


@pytest.mark.parametrize(
    ("record", "data", "text"),
    [
        ("data/0", bytes(16), "its weights 'atomic_energies' are not those that it was written"),
        ("data/0", b"", "its record 'data/0' has 0 bytes, where its tensors need 16"),
        ("lammps_les.json", {"cutoff": 4.1}, "says 4.1 in its metadata field 'network.cutoff'"),
        ("lammps_les.json", {"sigma": 1e-6}, "'long_range.sigma' of 1e-06, where 0.1 to 20 A is"),
    ],
    ids=["weights", "emptied", "contradiction", "range"],
)
def test_damaged_model_file(
    record: str, data: Any, text: str, water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    records = records_of(toy_model("constant").read_bytes())
    name = next(name for name in records if name.endswith(record))
    if isinstance(data, dict):
        data = json.dumps(changed(json.loads(records[name]), **data)).encode()
    model = tmp_path / "model.pt"
    model.write_bytes(rewritten(records | {name: data}))
    assert text in error_of(tmp_path / "run", water(2, spacing=4.0), model)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("raises", "evaluating the model failed at step 0 on rank"),
        ("non_finite", "a force or an energy is not finite (the force on atom"),
        ("wrong_backward", "'piece_backward' does not give the gradients by kept"),
    ],
)
def test_failing_model(
    name: str, text: str, ranks: int, water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    """The run ends, on all ranks, and the message says step, rank, atoms and edges."""
    message = error_of(tmp_path, water(2, spacing=4.0), toy_model(name), ranks=ranks)
    assert text in message
    assert "owned atoms" in message
    assert "edges" in message
    if name == "raises":
        assert "toy network: raised on purpose" in message


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize(
    ("name", "style", "doing", "reason"),
    [
        ("raises_when_close", "", "evaluating the model", "toy network: raised on purpose"),
        ("fails_in_charge", "", "evaluating the model", "outputs of type ComplexDouble"),
        ("fails_in_backward", "", "evaluating the model", "toy network: raised on purpose"),
        ("fails_in_bec", "", "computing Born effective charges", "raised on purpose"),
        ("fails_in_bec", "bec phase", "computing Born effective charges", "raised on purpose"),
    ],
)
def test_one_rank_fails(
    name: str,
    style: str,
    doing: str,
    reason: str,
    ranks: int,
    water: Water,
    toy_model: Toy,
    tmp_path: Path,
) -> None:
    """Wherever it is that one rank fails, nobody waits for it, and its message is read."""
    atoms = water(2, spacing=4.0)
    atoms.positions[1] += 0.35 * (atoms.positions[0] - atoms.positions[1])
    for _ in range(2):
        message = error_of(
            tmp_path,
            atoms,
            toy_model(name),
            ranks=ranks,
            style=style,
            quantities="bec",
            environment={"MPIEXEC_TIMEOUT": "60"},
        )
        assert f"pair les: {doing} failed at step 0 on rank" in message
        assert reason in message


@pytest.mark.parametrize(
    ("style", "operation"),
    [("kspace direct", "aten::round"), ("kspace mesh", "aten::_fft_r2c"), ("", "aten::erf")],
)
@pytest.mark.parametrize("ranks", [2, 4])
def test_one_rank_fails_in_the_long_range_sum(
    style: str,
    operation: str,
    ranks: int,
    water: Water,
    toy_model: Toy,
    fake_cuda: dict[str, str],
    tmp_path: Path,
) -> None:
    """As where one GPU of several has no memory left."""
    atoms = water(2, spacing=4.0)
    atoms.pbc = bool(style)
    message = error_of(
        tmp_path,
        atoms,
        toy_model("linear"),
        ranks=ranks,
        style=f"{style} device cuda",
        environment={"MPIEXEC_TIMEOUT": "60", "FAKE_CUDA_FAILS": f"{operation}@1", **fake_cuda},
    )
    assert "pair les: the long-range sum failed at step 0 on rank 1" in message
    assert f"no memory is left for {operation}" in message


def test_one_rank_fails_in_mid_run(water: Water, toy_model: Toy, tmp_path: Path) -> None:
    """Atoms of one rank come too close after some steps: all ranks end with its message."""
    atoms = water(2, spacing=4.0)
    bond = 0.35 * (atoms.positions[0] - atoms.positions[1])
    commands = [
        "group one id 2",
        "fix 1 all nve",
        "run 3",
        "displace_atoms one move {:.8f} {:.8f} {:.8f}".format(*bond),
        "run 3",
    ]
    model = toy_model("raises_when_close")
    message = error_of(tmp_path, atoms, model, ranks=2, commands=commands)
    assert "evaluating the model failed at step 3 on rank" in message
    assert "toy network: raised on purpose" in message
