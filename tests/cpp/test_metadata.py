"""Both readers of a model file's metadata, C++ and Python, accept and refuse the same."""

import json
import re
from pathlib import Path
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
    "latents": ["charge", "dipole", "quadrupole", "kappa", "alpha"],
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
        "epsilon_e": 1.2,
        "alpha_rank": 2,
        "susceptibility": 0.4,
        "softness": 0.0001,
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
    "response.epsilon_e",
    "response.alpha_rank",
    "response.susceptibility",
    "response.softness",
    "atomic_masses",
)
NULLABLE = ("charges.total", "response.epsilon_e", "response.susceptibility", "response.softness")

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
    {"species": ["H", ""]},
    {"species": ["H", "an oxygen"]},
    {"species": ["H", "O" * 21]},
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
    {"latents": ["dipole", "charge"]},
    {"latents": ["charge", "charge"]},
    {"latents": ["charge", "octupole"]},
    {"latents": ["kappa"]},
    {"latents": "charge"},
    {"latents": ["charge", 1]},
    {"latents": ["charge", "alpha"], "open_shift": 1e-6},
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
    {"epsilon_inf": [[1.0, 0.95, 0.0], [0.95, 1.0, 0.0], [0.0, 0.0, 1.6]]},
    {"epsilon_inf": [[1001.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.6]]},
    {"epsilon_e": [1.0, 1.0, 1.0]},
    {"epsilon_e": [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.6]]},
    {"epsilon_e": "1.8"},
    *({"alpha_rank": value} for value in (1, -2, 2.0, False, "2")),
    {"susceptibility": "0.5"},
    {"softness": True},
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
    {"provenance": {**VALID["provenance"], "embedded_total_charge": "some"}},
    {"provenance": {**VALID["provenance"], "embedded_total_charge": "inf"}},
    *({name.rpartition(".")[2]: None} for name in FIELDS if name not in NULLABLE),
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
        {"epsilon_e": None, "susceptibility": None, "softness": None},
        {"epsilon_e": TENSOR, "alpha_rank": 0},
        {"latents": ["charge"], "open_shift": 1e-6},
        {"latents": ["charge", "alpha"]},
        {"latents": ["charge", "quadrupole", "kappa"]},
    ):
        fields = changed(VALID, **changes)
        _core.check_metadata(json.dumps(fields))
        parse_metadata(fields, "model.pt")


@pytest.mark.parametrize("change", BAD, ids=lambda c: "-".join(f"{k}={v}" for k, v in c.items()))
def test_refused_by_both(change: dict[str, Any]) -> None:
    fields = changed(VALID, **change)
    with pytest.raises(ModelFileError, match="model file model.pt"):
        _core.check_metadata(json.dumps(fields))
    with pytest.raises(ModelFileError, match="model.pt"):
        parse_metadata(fields, "model.pt")


def ranges() -> dict[str, tuple[float, float]]:
    """Fields of the table in FORMAT.md that have a range."""
    text = (Path(__file__).parents[2] / "export" / "FORMAT.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| [^|]*?, (\S+) to ([^\s,]+)[^|]* \|", text, re.MULTILINE)
    return {name: (float(low), float(high)) for name, low, high in rows}


def test_numbers_have_a_range() -> None:
    free = {"format_version", "charges.sign", "response.alpha_rank"}
    numbers = {f for f in FIELDS if isinstance(valid_value(f), int | float)} - free
    numbers = {f for f in numbers if not isinstance(valid_value(f), bool)}
    lists = {"network.kept", "network.sent", "atomic_energies", "atomic_masses"}
    assert ranges().keys() == numbers | lists


def valid_value(field: str) -> Any:
    section, _, inner = field.rpartition(".")
    return (VALID[section] if section else VALID)[inner]


@pytest.mark.parametrize(("field", "low", "high"), [(f, *r) for f, r in ranges().items()])
def test_both_read_the_ranges_of_format_md(field: str, low: float, high: float) -> None:
    valid = valid_value(field)
    for value, inside in (
        *((low, True), (high, True)),
        *((low - 0.01 * abs(low) - 1e-9, False), (1.01 * high, False), (1e300, False)),
    ):
        number = int(value) if float(value).is_integer() else value
        if isinstance(valid, list):
            wrapped: Any = [number]
        elif isinstance(valid, dict):
            wrapped = dict.fromkeys("HO", number)
        else:
            wrapped = number
        changes = {field.rpartition(".")[2]: wrapped}
        if field == "network.layers":
            changes |= {"kept": [], "sent": []}
        if field == "charges.channels":
            signs = [1.0] * int(min(max(value, 0), 2000))
            changes |= {"sign": signs, "latents": ["charge"] if signs else [], "total": None}
        if field == "long_range.open_shift":
            changes |= {"latents": ["charge"]}
        fields = changed(VALID, **changes)
        if inside:
            _core.check_metadata(json.dumps(fields))
            parse_metadata(fields, "model.pt")
            continue
        name = re.escape(field)
        with pytest.raises(ModelFileError, match=f"metadata field '{name}' of"):
            _core.check_metadata(json.dumps(fields))
        with pytest.raises(ModelFileError, match=f"field '{name}"):
            parse_metadata(fields, "model.pt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("\xff", "not a JSON object"),
        (json.dumps(VALID) + "\0\0", "not a JSON object"),
        ("\ufeff" + json.dumps(VALID), "not a JSON object"),
        ("[" * 100_000, "nested more than 32 deep"),
        ('{"a":' * 100_000, "nested more than 32 deep"),
        ('{"a": "' + "x" * (1 << 20) + '"}', "more than 1 MB"),
        (json.dumps(VALID).replace('"cutoff"', '"layers": 1, "cutoff"'), '"layers" twice'),
        (json.dumps(VALID)[:-1] + ', "latents": ["charge"]}', '"latents" twice'),
        (json.dumps(VALID).replace("4.5", "1e999"), "not a JSON object"),
        (json.dumps(VALID).replace("4.5", "NaN"), "not a JSON object"),
    ],
    ids=lambda text: text[:20],
)
def test_text_that_is_no_metadata(text: str, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        _core.check_metadata(text)


@pytest.mark.parametrize("field", [name for name in (*FIELDS, *SECTIONS) if name not in OPTIONAL])
def test_missing_field_is_named_by_both(field: str) -> None:
    fields = without(field)
    with pytest.raises(ModelFileError, match=f"lacks the metadata field '{field}'"):
        _core.check_metadata(json.dumps(fields))
    with pytest.raises(ModelFileError, match=f"field '{field}' is missing"):
        parse_metadata(fields, "model.pt")
