"""Both readers of a model file's metadata, C++ and Python, accept and refuse the same."""

import json

import pytest

from lammps_les import _core
from lammps_les.model_file import ModelFileError, parse_metadata

VALID = {
    "format_version": 1,
    "species": ["H", "O"],
    "cutoff": 4.5,
    "layers": 1,
    "dtype": "float64",
    "channels": 1,
    "sigma": 1.0,
    "dl": 2.0,
    "norm": 90.0,
    "remove_self": True,
    "self_factor": 1.0,
    "open_shift": 0.0,
    "charge_unit": 1.0,
    "total_charge": 0.0,
    "charge_sign": [-1.0],
    "epsilon_inf": 1.8,
    "remove_mean": True,
    "bec_form": "phase",
    "bec_fitted": True,
    "atomic_energies": {"H": 0.0, "O": -1.0},
    "atomic_masses": {"O": 16.0},
    "provenance": dict.fromkeys(
        ("source", "sha256", "program", "version", "date", "citation"), "x"
    ),
}

OPTIONAL = ("open_shift", "total_charge")
ABSENT = (*OPTIONAL, "atomic_masses", "bec_form", "bec_fitted")

BAD = [
    {"format_version": 2},
    {"format_version": 1.9},
    {"format_version": True},
    {"format_version": "1"},
    {"species": []},
    {"species": ["H", "H"]},
    {"cutoff": 0.0},
    {"cutoff": "4.5"},
    {"layers": 0},
    {"layers": 1.7},
    {"layers": True},
    {"dtype": "float16"},
    {"channels": -1},
    {"channels": 1.5},
    {"sigma": 0.0},
    {"dl": -2.0},
    {"remove_self": 1},
    {"open_shift": -1.0},
    {"charge_unit": 0.0},
    {"charge_sign": [0.5]},
    {"charge_sign": [1.0, 1.0]},
    {"charge_sign": 1.0},
    {"total_charge": "0"},
    {"total_charge": True},
    {"total_charge": [0.0]},
    {"total_charge": 0.0, "channels": 0, "charge_sign": []},
    {"total_charge": 0.0, "channels": 2, "charge_sign": [1.0, 1.0]},
    {"epsilon_inf": 0.0},
    {"remove_mean": "yes"},
    {"bec_form": "finite"},
    {"bec_form": 1},
    {"bec_fitted": 1},
    {"bec_fitted": "yes"},
    {"atomic_energies": {"H": 0.0}},
    {"atomic_masses": {"H": -1.0}},
    {"atomic_masses": {"H": "1"}},
    {"atomic_masses": 1.0},
    {"provenance": {}},
    *({field: None} for field in VALID if field not in OPTIONAL),
]


def test_valid() -> None:
    _core.check_metadata(json.dumps(VALID))
    _core.check_metadata(json.dumps(VALID | {"a_later_field": 3}))
    without_shift = {k: v for k, v in VALID.items() if k != "open_shift"}
    _core.check_metadata(json.dumps(without_shift))
    assert parse_metadata(without_shift, "model.pt").open_shift == 0.0
    without_masses = {k: v for k, v in VALID.items() if k != "atomic_masses"}
    _core.check_metadata(json.dumps(without_masses))
    assert parse_metadata(without_masses, "model.pt").atomic_masses == {}
    without_form = {k: v for k, v in VALID.items() if k not in ("bec_form", "bec_fitted")}
    _core.check_metadata(json.dumps(without_form))
    assert parse_metadata(without_form, "model.pt").bec_form == "local"
    assert parse_metadata(without_form, "model.pt").bec_fitted is False
    without_charge = {k: v for k, v in VALID.items() if k != "total_charge"}
    for fields in (without_charge, VALID | {"total_charge": None}, VALID | {"total_charge": -2}):
        _core.check_metadata(json.dumps(fields))
    assert parse_metadata(without_charge, "model.pt").total_charge is None


@pytest.mark.parametrize("change", BAD, ids=lambda c: "-".join(f"{k}={v}" for k, v in c.items()))
def test_refused_by_both(change: dict) -> None:
    fields = VALID | change
    with pytest.raises(RuntimeError, match="model file model.pt"):
        _core.check_metadata(json.dumps(fields))
    with pytest.raises(ModelFileError, match="model.pt"):
        parse_metadata(fields, "model.pt")


@pytest.mark.parametrize("field", [f for f in VALID if f not in ABSENT])
def test_missing_field_is_named_by_both(field: str) -> None:
    fields = {k: v for k, v in VALID.items() if k != field}
    with pytest.raises(RuntimeError, match=f"lacks the metadata field '{field}'"):
        _core.check_metadata(json.dumps(fields))
    with pytest.raises(ModelFileError, match=f"field '{field}' is missing"):
        parse_metadata(fields, "model.pt")
