"""Both readers of a model file's metadata, C++ and Python, accept and refuse the same."""

import json
from typing import Any

import pytest
from generate import changed

from lammps_les import _core
from lammps_les.model_file import ModelFileError, parse_metadata

TENSOR = [[1.9, 0.1, 0.0], [0.1, 1.7, 0.0], [0.0, 0.0, 1.6]]
VALID: dict[str, Any] = {
    "format_version": 2,
    "network": {
        "species": ["H", "O"],
        "cutoff": 4.5,
        "layers": 2,
        "kept": [5],
        "sent": [3],
        "dtype": "float64",
        "kind": "cace",
        "config": {"species": ["H", "O"]},
    },
    "latents": ["charge"],
    "long_range": {
        "sigma": 1.0,
        "dl": 2.0,
        "norm": 90.0,
        "remove_self": True,
        "self_factor": 1.0,
        "open_shift": 0.0,
    },
    "charges": {"channels": 1, "unit": 1.0, "sign": [-1.0], "total": 0.0},
    "response": {
        "epsilon_inf": 1.8,
        "remove_mean": True,
        "bec_form": "phase",
        "bec_fitted": True,
    },
    "atomic_energies": {"H": 0.0, "O": -1.0},
    "atomic_masses": {"O": 16.0},
    "provenance": dict.fromkeys(
        ("source", "sha256", "program", "version", "date", "citation"), "x"
    ),
}
SECTIONS = ("network", "long_range", "charges", "response")
FIELDS = [
    *(f"{section}.{name}" for section in SECTIONS for name in VALID[section]),
    *(name for name in VALID if name not in SECTIONS),
]
OPTIONAL = (
    "network.kind",
    "network.config",
    "long_range.open_shift",
    "charges.total",
    "response.bec_form",
    "response.bec_fitted",
    "atomic_masses",
)

BAD: list[dict[str, Any]] = [
    {"format_version": 1},
    {"format_version": 3},
    {"format_version": 2.9},
    {"format_version": 2.0},
    {"format_version": True},
    {"format_version": "2"},
    *({section: value} for section in SECTIONS for value in (1, [], "x")),
    {"species": []},
    {"species": ["H", "H"]},
    {"cutoff": 0.0},
    {"cutoff": "4.5"},
    {"layers": 0},
    {"layers": 1.7},
    {"layers": True},
    {"layers": 3},
    {"kept": []},
    {"kept": [5, 5]},
    {"kept": [-1]},
    {"sent": [1.5]},
    {"sent": 3},
    {"kept": [5, 5], "sent": [3, 3]},
    {"dtype": "float16"},
    {"latents": []},
    {"latents": ["charge", "dipole"]},
    {"latents": ["kappa"]},
    {"latents": "charge"},
    {"channels": -1},
    {"channels": 1.5},
    {"channels": 0, "sign": []},
    {"sigma": 0.0},
    {"dl": -2.0},
    {"remove_self": 1},
    {"open_shift": -1.0},
    {"unit": 0.0},
    {"sign": [0.5]},
    {"sign": [1.0, 1.0]},
    {"sign": 1.0},
    {"total": "0"},
    {"total": True},
    {"total": [0.0]},
    {"total": 0.0, "channels": 0, "sign": [], "latents": []},
    {"total": 0.0, "channels": 2, "sign": [1.0, 1.0]},
    {"epsilon_inf": 0.0},
    {"epsilon_inf": -1.0},
    {"epsilon_inf": True},
    {"epsilon_inf": "1.8"},
    {"epsilon_inf": [1.0, 1.0, 1.0]},
    {"epsilon_inf": TENSOR[:2]},
    {"epsilon_inf": [[1.9, 0.1, 0.0], [0.2, 1.7, 0.0], [0.0, 0.0, 1.6]]},
    {"epsilon_inf": [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.6]]},
    {"remove_mean": "yes"},
    {"bec_form": "finite"},
    {"bec_form": 1},
    {"bec_fitted": 1},
    {"bec_fitted": "yes"},
    {"kind": 1},
    {"config": []},
    {"atomic_energies": {"H": 0.0}},
    {"atomic_masses": {"H": -1.0}},
    {"atomic_masses": {"H": "1"}},
    {"atomic_masses": 1.0},
    {"provenance": {}},
    *({name.rpartition(".")[2]: None} for name in FIELDS if name != "charges.total"),
]


def without(*names: str) -> dict[str, Any]:
    """Valid fields, some left out."""
    fields = {name: dict(v) if isinstance(v, dict) else v for name, v in VALID.items()}
    for name in names:
        section, _, inner = name.rpartition(".")
        del (fields[section] if section else fields)[inner]
    return fields


def test_valid() -> None:
    later = without()
    later["a_later_field"] = 3
    later["network"]["another"] = [1]
    uncut = changed(VALID, kept=[], sent=[])
    energies = changed(VALID, channels=0, sign=[], latents=[], total=None)
    for fields in (VALID, later, uncut, energies, without(*OPTIONAL)):
        _core.check_metadata(json.dumps(fields))
        parse_metadata(fields, "model.pt")
    for changes in (
        {"total": None},
        {"total": -2},
        {"epsilon_inf": 2},
        {"epsilon_inf": TENSOR},
        {"bec_form": "local"},
    ):
        fields = changed(VALID, **changes)
        _core.check_metadata(json.dumps(fields))
        parse_metadata(fields, "model.pt")


@pytest.mark.parametrize("change", BAD, ids=lambda c: "-".join(f"{k}={v}" for k, v in c.items()))
def test_refused_by_both(change: dict[str, Any]) -> None:
    fields = changed(VALID, **change)
    with pytest.raises(RuntimeError, match="model file model.pt"):
        _core.check_metadata(json.dumps(fields))
    with pytest.raises(ModelFileError, match="model.pt"):
        parse_metadata(fields, "model.pt")


@pytest.mark.parametrize("field", [name for name in (*FIELDS, *SECTIONS) if name not in OPTIONAL])
def test_missing_field_is_named_by_both(field: str) -> None:
    fields = without(field)
    with pytest.raises(RuntimeError, match=f"lacks the metadata field '{field}'"):
        _core.check_metadata(json.dumps(fields))
    with pytest.raises(ModelFileError, match=f"field '{field}' is missing"):
        parse_metadata(fields, "model.pt")
