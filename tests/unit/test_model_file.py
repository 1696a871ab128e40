"""The model file: model_file.py, FORMAT.md, refusals."""

import ast
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import by_hand
import pytest
import torch
from generate import changed, toy_metadata, toy_models
from pydantic import BaseModel

from lammps_les.model_file import (
    FORMAT_VERSION,
    METADATA_FILE,
    Metadata,
    ModelFileError,
    load_model,
    parse_metadata,
    read_metadata,
)

FORMAT = (Path(__file__).parents[2] / "export" / "FORMAT.md").read_text()

# how a type of the field table is said in JSON schema, ranges apart
SCHEMA_OF = {
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "list of numbers": {"type": "array", "items": {"type": "number"}},
    "number, 0.1 to 1000, or symmetric 3 x 3 matrix with such eigenvalues": {
        "anyOf": [
            {"type": "number"},
            {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        ]
    },
    "number, 0.1 to 1000, or symmetric 3 x 3 matrix with such eigenvalues, or null": {
        "anyOf": [
            {"type": "number"},
            {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
            {"type": "null"},
        ]
    },
    "0 or 2": {"type": "integer", "enum": [0, 2]},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "list of strings": {"type": "array", "items": {"type": "string"}},
    '`"float32"` or `"float64"`': {"type": "string", "enum": ["float32", "float64"]},
    '`"local"` or `"phase"`': {"type": "string", "enum": ["local", "phase"]},
    "object": {"type": "object"},
    "object of strings": {"type": "object", "additionalProperties": {"type": "string"}},
}


def schema_of(kind: str) -> dict[str, Any]:
    """JSON schema of a type of the table, such as ``list of integers, 0 to 1e6``."""
    if kind in SCHEMA_OF:
        return SCHEMA_OF[kind]
    found = re.fullmatch(r"(.*), (\S+) to ([^\s,]+)(, or null)?", kind)
    assert found, kind
    what, low, high = found[1], float(found[2]), float(found[3])
    number = {"type": "integer" if "integer" in what else "number", "minimum": low, "maximum": high}
    if what.startswith("list"):
        return {"type": "array", "items": number}
    if what.startswith("object"):
        return {"type": "object", "additionalProperties": number}
    return {"anyOf": [number, {"type": "null"}]} if found[4] else number


def field_table() -> dict[str, str]:
    """Field name and type of every row of the table in FORMAT.md."""
    section = FORMAT.split("## Metadata")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+?) \|", section, flags=re.MULTILINE))


def fields_of(section: type[BaseModel], beginning: str = "") -> dict[str, tuple[dict, bool]]:
    """JSON schema of every field, and whether it must be there; ``network.cutoff`` of sections."""
    properties = section.model_json_schema()["properties"]
    found: dict[str, tuple[dict, bool]] = {}
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= fields_of(field.annotation, f"{name}.")
        else:
            found[beginning + name] = properties[name], field.is_required()
    return found


FIELDS = fields_of(Metadata)


def valid_fields() -> dict:
    return toy_metadata(toy_models()["linear"][0], "float64")


def without(fields: dict, name: str) -> dict:
    """The fields without one of them."""
    section, _, inner = name.rpartition(".")
    if not section:
        return {key: value for key, value in fields.items() if key != name}
    return {**fields, section: without(fields[section], inner)}


def test_fields_are_those_of_the_table_in_format_md():
    assert list(field_table()) == list(FIELDS)


@pytest.mark.parametrize(("name", "kind"), field_table().items())
def test_types_are_those_of_the_table_in_format_md(name, kind):
    schema = FIELDS[name][0]
    if name == "format_version":
        assert schema["const"] == FORMAT_VERSION == 2
        return
    expected = schema_of(kind)
    assert {key: schema.get(key) for key in expected} == expected


def test_fields_that_may_be_absent_are_those_that_the_table_says():
    rows = re.findall(r"^\| `([\w.]+)` \|(.*)$", FORMAT, flags=re.MULTILINE)
    stated = {name for name, rest in rows if "may be absent" in rest}
    assert stated == {name for name, (_, required) in FIELDS.items() if not required}


@pytest.mark.parametrize("name", [name for name, (_, required) in FIELDS.items() if required])
def test_missing_field_is_refused(name):
    fields = without(valid_fields(), name)
    with pytest.raises(ModelFileError, match=f"field '{name}' is missing.*Export the model again"):
        parse_metadata(fields, "model file x.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, "has format version 3; this program reads version 2. Update"),
        ({"format_version": "2"}, "has format version '2'; this program reads version 2"),
        ({"format_version": True}, "has format version True; this program reads version 2"),
        ({"network": 1}, "field 'network': Input should be a valid dictionary"),
        ({"layers": 0}, r"field 'network.layers': expected 1 to 100, got 0"),
        ({"layers": True}, "field 'network.layers': Input should be a valid integer, got True"),
        ({"cutoff": "4.5"}, "field 'network.cutoff': Input should be a valid number, got '4.5'"),
        ({"kept": [1]}, r"kept and sent should be of one length, got \[1\] and \[\]"),
        ({"kept": [1], "sent": [-1]}, "field 'network.sent.0': expected 0 to 1e\\+06, got -1"),
        ({"kept": [1], "sent": [1]}, r"1 layers have 0 cuts or none, but sent is \[1\]"),
        ({"layers": 3, "kept": [1], "sent": [1]}, "3 layers have 2 cuts or none, but sent is"),
        ({"sigma": 0.0}, "field 'long_range.sigma': expected 0.1 to 20 A, got 0.0"),
        ({"norm": float("nan")}, "field 'long_range.norm': expected 1e-20 to 1e\\+06 eV A"),
        ({"dtype": "float16"}, "field 'network.dtype': Input should be 'float32' or 'float64'"),
        ({"species": []}, "field 'network.species': List should have at least 1 item"),
        ({"species": ["H", "H"]}, "a symbol stands twice"),
        ({"species": ["H", "O\n"]}, "symbols of 1 to 20 printable characters"),
        (
            {"latents": ["charge", "octupole", "spin"]},
            "the network gives octupole, spin; this program knows charge, dipole, quadrupole, "
            "kappa, alpha. Update lammps-les",
        ),
        (
            {"latents": ["alpha", "charge"]},
            r"latents: expected \['charge', 'alpha'\] with 1 charge channels, got \['alpha', 'ch",
        ),
        ({"latents": ["dipole"]}, r"latents: expected \['charge', 'dipole'\] with 1 charge chan"),
        (
            {"latents": ["charge", "kappa"], "open_shift": 1e-6},
            "long_range.open_shift: expected 0 with kappa, got 1e-06",
        ),
        ({"latents": []}, r"latents: expected \['charge'\] with 1 charge channels, got \[\]"),
        ({"channels": 0, "sign": []}, r"latents: expected \[\] with 0 charge channels"),
        ({"sign": [1.0, 1.0]}, "expected one sign for each of 1 channels, got 2"),
        ({"sign": [0.5]}, r"expected \+1 or -1, got \[0.5\]"),
        ({"total": "0"}, "field 'charges.total'"),
        ({"total": True}, "field 'charges.total'"),
        *[
            (
                {"epsilon_inf": value},
                "field 'response.epsilon_inf': expected a number from 0.1 to 1000 or a sym",
            )
            for value in (
                0.0,
                -1.0,
                True,
                "1.8",
                float("nan"),
                float("inf"),
                None,
                [1.0, 2.0, 3.0],
                [[1.0]],
                [[1.8, 0.0], [0.0, 1.8]],
                [[1.8, 0.1, 0.0], [0.2, 1.8, 0.0], [0.0, 0.0, 1.8]],
                [[1.8, 0.0, 0.0], [0.0, 1.8, 0.0], [0.0, 0.0, -1.8]],
                [[1.8, 0.0, 0.0], [0.0, 1.8, 0.0], [0.0, 0.0, "1.8"]],
                [[1.8, 0.0, 0.0], [0.0, 1.8, 0.0], [0.0, 0.0, float("inf")]],
            )
        ],
        (
            {"total": 0.0, "channels": 2, "sign": [1.0, 1.0]},
            "charges of one channel can be shifted to a total charge; the model has 2 channels",
        ),
        ({"atomic_masses": {"H": 0.0}}, "field 'atomic_masses.H': expected 0.01 to 1000 g/mol"),
        ({"atomic_energies": {"H": 0.0}}, "atomic_energies: no value for O"),
        ({"provenance": {"source": "x"}}, "provenance: no value for sha256"),
    ],
)
def test_wrong_value_is_refused(change, message):
    with pytest.raises(ModelFileError, match=message):
        parse_metadata(changed(valid_fields(), **change), "model file x.pt")


def test_what_may_be_absent():
    fields = valid_fields()
    for name in (name for name, (_, required) in FIELDS.items() if not required):
        fields = without(fields, name)
    found = parse_metadata(fields, "x")
    assert found.atomic_masses == {}
    assert found.network.kind == ""
    assert found.network.config == {}
    assert found.long_range.open_shift == 0.0
    assert found.charges.total is None
    assert found.response.bec_form == "local"
    assert not found.response.bec_fitted
    assert parse_metadata(changed(valid_fields(), total=-1), "x").charges.total == -1.0


def test_epsilon_inf_may_be_a_tensor():
    tensor = [[5.8, 0.1, 0.0], [0.1, 5.8, 0], [0.0, 0.0, 5.2]]
    found = parse_metadata(changed(valid_fields(), epsilon_inf=tensor), "x")
    assert found.response.epsilon_inf == tensor
    assert parse_metadata(changed(valid_fields(), epsilon_inf=2), "x").response.epsilon_inf == 2


def test_version_1_is_refused_with_the_command_that_makes_a_new_file(tmp_path):
    """Whatever else such a file holds."""
    fields = {"format_version": 1, "species": ["H"], "provenance": {"source": "water.pth"}}
    expected = (
        r"model file .*old.pt has format version 1, but this lammps-les reads version 2; make a "
        r"new file with 'lammps-les export SOURCE -o FILE' \(this one was made of \"water.pth\"\)"
    )
    with zipfile.ZipFile(tmp_path / "old.pt", "w") as archive:
        archive.writestr(f"old/extra/{METADATA_FILE}", json.dumps(fields))
    with pytest.raises(ModelFileError, match=expected):
        load_model(tmp_path / "old.pt")
    with pytest.raises(ModelFileError, match="`lammps-les export SOURCE -o FILE`$"):
        parse_metadata({"format_version": 1}, "x")


def test_unknown_field_is_ignored():
    fields = valid_fields()
    fields["network"]["new"] = 2
    assert parse_metadata({**fields, "new": 1}, "x").network.cutoff == 4.0


def test_read_and_load(toy_model):
    module, metadata = load_model(toy_model("linear"))
    assert read_metadata(toy_model("linear")) == metadata
    assert metadata.network.species == ["H", "O"]
    assert metadata.network.dtype == "float64"
    assert read_metadata(toy_model("linear", "float32")).network.torch_dtype is torch.float32
    latent = module.latents(
        torch.zeros(0, 3), torch.zeros(2, 0, dtype=torch.int64), torch.tensor([1]), 1
    )
    assert latent["charge"].tolist() == [[-0.8]]


def test_module_without_the_methods_is_refused(tmp_path):
    module = torch.jit.script(torch.nn.Linear(1, 1))
    extra = {METADATA_FILE: json.dumps(valid_fields())}
    torch.jit.save(module, str(tmp_path / "linear.pt"), _extra_files=extra)
    with pytest.raises(ModelFileError, match="no method 'piece'"):
        load_model(tmp_path / "linear.pt")


def test_a_file_by_hand_needs_torch_and_format_md_alone(toy_model):
    """tests/models/by_hand.py imports nothing of ours, and its formulas come out."""
    tree = ast.parse(Path(by_hand.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in imports}
    assert names == {"json", "sys", "torch"}

    generator = torch.Generator().manual_seed(3)
    r = 4.0 * torch.rand(7, 3, generator=generator, dtype=torch.float64)
    species = torch.arange(7) % 2
    distance = torch.cdist(r, r) + 9.0 * torch.eye(7)
    w = torch.where(distance < by_hand.CUTOFF, (1.0 - distance**2 / 9.0) ** 3, 0.0)  # [i, j]
    h = w @ torch.tensor([0.3, 0.5], dtype=torch.float64)[species]
    g = w @ h
    edge_index = torch.nonzero(w).T
    vectors = r[edge_index[1]] - r[edge_index[0]]
    for dtype in ("float64", "float32"):
        module, metadata = load_model(toy_model("by_hand", dtype))
        assert metadata.network.pieces == 2
        torch_dtype = metadata.network.torch_dtype
        found = module.latents(vectors.to(torch_dtype), edge_index, species, 4)
        tolerance = {"rtol": 0, "atol": 1e-12 if dtype == "float64" else 1e-5}
        energy, charge = found["energy"].double(), found["charge"].double()
        torch.testing.assert_close(energy, (0.1 * h**2 + 0.05 * g)[:4], **tolerance)
        base = torch.tensor([0.4, -0.8], dtype=torch.float64)[species]
        torch.testing.assert_close(charge[:, 0], (base + 0.03 * g)[:4], **tolerance)
