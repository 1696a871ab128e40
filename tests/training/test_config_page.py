"""The table of keys in docs/training.md and the configuration agree, defaults included."""

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from lammps_les.models import KINDS, build_network, default_config
from lammps_les.training.config import RunConfig

NETWORKS = Path(__file__).resolve().parents[2] / "docs" / "networks.md"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
AS_OTHERS = ("network.charge_representation", "loss.stages[].weights")
"""Sections whose keys are those of another one: a row each."""


def section_in(kind: Any) -> tuple[Any, bool]:
    """The section inside a type, or None; and whether there is a list of it."""
    if isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)):
        return kind, False
    origin = typing.get_origin(kind)
    if origin in (list, tuple, typing.Union, types.UnionType, typing.Annotated):
        for inner in typing.get_args(kind):
            section, listed = section_in(inner)
            if section:
                return section, listed or origin in (list, tuple)
    return None, False


def entries(section: Any, preset: Any) -> dict[str, tuple[Any, Any]]:
    """Type and default of each key of a section; defaults are those of an instance, if given."""
    hints = typing.get_type_hints(section, include_extras=True)
    if issubclass(section, BaseModel):
        defaults = {name: f.default for name, f in section.model_fields.items()}
    else:
        defaults = {f.name: f.default for f in dataclasses.fields(section)}
    if preset is not None:
        defaults = {name: getattr(preset, name) for name in defaults}
    return {name: (hints[name], defaults[name]) for name in defaults}


def keys(section: Any, beginning: str = "", preset: Any = None) -> dict[str, Any]:
    """Default by key, ``loss.stages[].from_epoch`` for those of a list."""
    found: dict[str, Any] = {}
    for name, (kind, default) in entries(section, preset).items():
        key = f"{beginning}{name}"
        inner, listed = section_in(kind)
        if inner is None or key in AS_OTHERS:
            found[key] = default
        else:
            given = None if listed or default is PydanticUndefined else default
            found |= keys(inner, f"{key}{'[]' * listed}.", given)
    return found


def values_of(text: str) -> tuple[Any, ...]:
    """What a text may stand for: a word such as ``off``, a value, or that as a tuple."""
    value = yaml.safe_load(text)
    return (text, value, tuple(value) if isinstance(value, list) else value)


def rows() -> dict[str, tuple[str, ...]]:
    text = PAGE.read_text().split("\n## Configuration\n")[1]
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip(" `"): tuple(cell.strip() for cell in row[1:]) for row in cells}


def test_every_key_is_in_the_table_with_its_default() -> None:
    expected, found = keys(RunConfig), rows()
    assert "network.representation.messages[].invariant_hidden" in expected
    assert sorted(found) == sorted(expected)
    for key, (default, _, meaning) in found.items():
        assert meaning, key
        if default == "required":
            assert expected[key] is PydanticUndefined, key
        elif default != "none":
            (value,) = re.findall(r"^`([^`]+)`", default)
            assert expected[key] in values_of(value), key
        else:
            assert expected[key] is None, key


def test_words_that_a_key_takes_are_in_its_row() -> None:
    found = rows()
    for key, words in {
        "data.files[].part": ("split", "training", "validation", "test"),
        "data.bec_order": ("P-first", "r-first"),
        "data.polarizability_unit": ("e A^2/V", "A^3"),
        "charges.total_charge": ("off", "penalty", "exact"),
        "charges.bec_form": ("local", "phase"),
        "loss.kind": ("mse", "huber"),
        "training.accelerator": ("cpu", "gpu", "auto"),
        "dtype": ("float32", "float64"),
        "network.kind": KINDS,
    }.items():
        for word in words:
            assert f"`{word}`" in " ".join(found[key]), key


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cace"])
def test_keys_of_other_kinds_are_in_their_page(kind: str) -> None:
    config = default_config(kind)
    text = NETWORKS.read_text()
    sections = {part.split("\n")[0].lower(): part for part in text.split("\n## ")[1:]}
    rows = re.findall(r"^\| `(\w+)` \| (\S+(?: \S+)*) \| .*\| (.+) \|$", sections[kind], re.M)
    shared = {"kind", "species", "channels", "latents"}
    expected = {f.name for f in dataclasses.fields(config)} - shared
    assert sorted(name for name, _, _ in rows) == sorted(expected)
    for name, default, meaning in rows:
        assert meaning
        known = (None,) if default == "none" else values_of(default.strip("`"))
        assert getattr(config, name) in known, name
    freeze = re.findall(r"`(\w+)`", sections[kind].split("Parts for `freeze`:")[1])
    network = build_network(dataclasses.replace(config, species=("H", "O")))
    assert set(freeze) == {name.split(".")[0] for name, _ in network.named_parameters()}
