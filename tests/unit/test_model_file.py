"""The model file: model_file.py, FORMAT.md, refusals."""

import json
import re
import zipfile
from pathlib import Path

import pytest
import torch
from generate import toy_metadata, toy_models

from lammps_les.electrostatics import Cut
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
    "number >= 0": {"type": "number", "minimum": 0.0},
    "number or null": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    "boolean": {"type": "boolean"},
    "list of strings": {"type": "array", "items": {"type": "string"}},
    '`"float32"` or `"float64"`': {"type": "string", "enum": ["float32", "float64"]},
    '`"local"` or `"phase"`': {"type": "string", "enum": ["local", "phase"]},
    "list of `channels` numbers, each +1 or -1": {"type": "array", "items": {"type": "number"}},
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
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", section, flags=re.MULTILINE))


def test_what_passes_between_layers_is_the_table_in_format_md():
    section = FORMAT.split("### Method for several layers")[1].split("\n    forward(")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE) == list(Cut._fields)


def valid_fields() -> dict:
    return toy_metadata(toy_models()["linear"][0], "float64")


def test_fields_are_those_of_the_table_in_format_md():
    assert list(field_table()) == list(Metadata.model_fields)


@pytest.mark.parametrize(("name", "kind"), field_table().items())
def test_types_are_those_of_the_table_in_format_md(name, kind):
    schema = Metadata.model_json_schema()["properties"][name]
    if name == "format_version":
        assert schema["const"] == FORMAT_VERSION == 1
        return
    expected = SCHEMA_OF[kind]
    assert {key: schema.get(key) for key in expected} == expected


OPTIONAL = ("open_shift", "total_charge", "bec_form", "bec_fitted", "atomic_masses")
REQUIRED = [n for n in Metadata.model_fields if n not in OPTIONAL]


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_field_is_refused(name):
    fields = valid_fields()
    del fields[name]
    with pytest.raises(ModelFileError, match=f"field '{name}' is missing.*Export the model again"):
        parse_metadata(fields, "model file x.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "has format version 2; this program reads version 1. Update"),
        ({"format_version": "1"}, "has format version '1'; this program reads version 1"),
        ({"layers": 0}, "field 'layers': Input should be greater than or equal to 1, got 0"),
        ({"layers": True}, "field 'layers': Input should be a valid integer, got True"),
        ({"cutoff": "4.5"}, "field 'cutoff': Input should be a valid number, got '4.5'"),
        ({"sigma": 0.0}, "field 'sigma': Input should be greater than 0, got 0.0"),
        ({"norm": float("nan")}, "field 'norm': Input should be a finite number, got nan"),
        ({"dtype": "float16"}, "field 'dtype': Input should be 'float32' or 'float64'"),
        ({"species": []}, "field 'species': List should have at least 1 item"),
        ({"species": ["H", "H"]}, "a symbol stands twice"),
        ({"charge_sign": [1.0, 1.0]}, "expected one sign for each of 1 channels, got 2"),
        ({"charge_sign": [0.5]}, r"expected \+1 or -1, got \[0.5\]"),
        ({"total_charge": "0"}, "field 'total_charge'"),
        ({"total_charge": True}, "field 'total_charge'"),
        (
            {"total_charge": 0.0, "channels": 2, "charge_sign": [1.0, 1.0]},
            "charges of one channel can be shifted to a total charge; the model has 2 channels",
        ),
        ({"atomic_masses": {"H": 0.0}}, "field 'atomic_masses.H': Input should be greater than 0"),
        ({"atomic_energies": {"H": 0.0}}, "atomic_energies: no value for O"),
        ({"provenance": {"source": "x"}}, "provenance: no value for sha256"),
    ],
)
def test_wrong_value_is_refused(change, message):
    with pytest.raises(ModelFileError, match=message):
        parse_metadata({**valid_fields(), **change}, "model file x.pt")


def test_what_may_be_absent():
    fields = {name: value for name, value in valid_fields().items() if name not in OPTIONAL}
    assert parse_metadata(fields, "x").atomic_masses == {}
    assert parse_metadata(fields, "x").open_shift == 0.0
    assert parse_metadata(fields, "x").total_charge is None
    assert parse_metadata(fields | {"total_charge": -1}, "x").total_charge == -1.0


def test_unknown_field_is_ignored():
    assert parse_metadata({**valid_fields(), "new": 1}, "x").cutoff == 4.0


def test_read_and_load(toy_model):
    module, metadata = load_model(toy_model("linear"))
    assert read_metadata(toy_model("linear")) == metadata
    assert metadata.species == ["H", "O"]
    assert metadata.dtype == "float64"
    assert read_metadata(toy_model("linear", "float32")).torch_dtype is torch.float32
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
    assert read_metadata(tmp_path / "empty.pt").layers == 1
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
    with pytest.raises(ModelFileError, match="no method 'latents'"):
        load_model(tmp_path / "linear.pt")
