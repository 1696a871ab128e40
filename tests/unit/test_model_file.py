"""The model file: model_file.py, FORMAT.md, refusals."""

import ast
import json
import re
import zipfile
from pathlib import Path

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

# how a type of the field table is said in JSON schema
SCHEMA_OF = {
    "integer": {"type": "integer"},
    "integer >= 1": {"type": "integer", "minimum": 1},
    "integer >= 0": {"type": "integer", "minimum": 0},
    "number": {"type": "number"},
    "number > 0": {"type": "number", "exclusiveMinimum": 0.0},
    "number >= 0": {"type": "number", "minimum": 0.0},
    "number or null": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    "number > 0 or symmetric positive definite 3 x 3 matrix": {
        "anyOf": [
            {"type": "number"},
            {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        ]
    },
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "list of strings": {"type": "array", "items": {"type": "string"}},
    "list of integers >= 0": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    "list of numbers": {"type": "array", "items": {"type": "number"}},
    '`"float32"` or `"float64"`': {"type": "string", "enum": ["float32", "float64"]},
    '`"local"` or `"phase"`': {"type": "string", "enum": ["local", "phase"]},
    "object": {"type": "object"},
    "object, symbol -> number": {"type": "object", "additionalProperties": {"type": "number"}},
    "object, symbol -> number > 0": {
        "type": "object",
        "additionalProperties": {"type": "number", "exclusiveMinimum": 0.0},
    },
    "object of strings": {"type": "object", "additionalProperties": {"type": "string"}},
}


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
    expected = SCHEMA_OF[kind]
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
        ({"layers": 0}, "field 'network.layers': Input should be greater than or equal to 1, got"),
        ({"layers": True}, "field 'network.layers': Input should be a valid integer, got True"),
        ({"cutoff": "4.5"}, "field 'network.cutoff': Input should be a valid number, got '4.5'"),
        ({"kept": [1]}, r"kept and sent should be of one length, got \[1\] and \[\]"),
        ({"kept": [1], "sent": [-1]}, "field 'network.sent.0': Input should be greater than or"),
        ({"kept": [1], "sent": [1]}, r"1 layers have 0 cuts or none, but sent is \[1\]"),
        ({"layers": 3, "kept": [1], "sent": [1]}, "3 layers have 2 cuts or none, but sent is"),
        ({"sigma": 0.0}, "field 'long_range.sigma': Input should be greater than 0, got 0.0"),
        ({"norm": float("nan")}, "field 'long_range.norm': Input should be a finite number"),
        ({"dtype": "float16"}, "field 'network.dtype': Input should be 'float32' or 'float64'"),
        ({"species": []}, "field 'network.species': List should have at least 1 item"),
        ({"species": ["H", "H"]}, "a symbol stands twice"),
        (
            {"latents": ["charge", "dipole", "alpha"]},
            "the network gives dipole, alpha; this program knows charge. Update lammps-les",
        ),
        ({"latents": []}, r"latents: expected \['charge'\] with 1 charge channels, got \[\]"),
        ({"channels": 0, "sign": []}, r"latents: expected \[\] with 0 charge channels"),
        ({"sign": [1.0, 1.0]}, "expected one sign for each of 1 channels, got 2"),
        ({"sign": [0.5]}, r"expected \+1 or -1, got \[0.5\]"),
        ({"total": "0"}, "field 'charges.total'"),
        ({"total": True}, "field 'charges.total'"),
        *[
            ({"epsilon_inf": value}, "field 'response.epsilon_inf': expected a number > 0 or a sym")
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
        ({"atomic_masses": {"H": 0.0}}, "field 'atomic_masses.H': Input should be greater than 0"),
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
        r"model file .*old.pt has format version 1; this program reads version 2. Make a new file "
        r"with `lammps-les export SOURCE -o FILE` \(this one was made of water.pth\)"
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


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="nothing.pt does not exist"):
        read_metadata(tmp_path / "nothing.pt")


def test_truncated_file_is_refused(tmp_path, toy_model):
    content = toy_model("linear").read_bytes()
    (tmp_path / "half.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match="half.pt is no readable TorchScript archive"):
        read_metadata(tmp_path / "half.pt")


def test_text_file_is_refused(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ModelFileError, match="no readable TorchScript archive.*Copy it again"):
        load_model(tmp_path / "text.pt")


def test_pickle_is_refused(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "pickle.pt")
    with pytest.raises(ModelFileError, match="a PyTorch file, but not a lammps-les model file"):
        read_metadata(tmp_path / "pickle.pt")


def test_other_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(ModelFileError, match="an archive, but not a lammps-les model file"):
        read_metadata(tmp_path / "other.pt")


def test_metadata_without_network_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.pt", "w") as archive:
        archive.writestr(f"empty/extra/{METADATA_FILE}", json.dumps(valid_fields()))
    assert read_metadata(tmp_path / "empty.pt").network.layers == 1
    with pytest.raises(ModelFileError, match="empty.pt cannot be loaded"):
        load_model(tmp_path / "empty.pt")


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "expected an obj")])
def test_metadata_that_are_no_object_are_refused(tmp_path, text, message):
    with zipfile.ZipFile(tmp_path / "bad.pt", "w") as archive:
        archive.writestr(f"bad/extra/{METADATA_FILE}", text)
    with pytest.raises(ModelFileError, match=message):
        read_metadata(tmp_path / "bad.pt")


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
