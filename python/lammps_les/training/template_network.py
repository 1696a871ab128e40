"""The section `network` of a commented configuration."""

import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from lammps_les.data.neighbors import neighbor_list
from lammps_les.data.structures import Labelled
from lammps_les.models import KINDS, default_config

_CACE = """\
  # kind: cace               # {kinds}
  species: [{species}]
  channels: 1                # latent charges per atom; 0 = short range only
  # latents: [charge, dipole, quadrupole, alpha]  # better, at twice the time
  representation:
    cutoff: 4.5              # A
    embedding_size: {embedding}
    n_bessel: 6
    n_radial: 12
    max_l: 3
    max_nu: 3
    layers: 1                # Born charges in the loss are fastest with 1
    {embed}embed_total_charge: true  # the network knows the total charge of each structure
  energy: {{hidden: [32, 16]}}
  charge: {{hidden: [24, 12], scale: 0.1}}
"""
_AT_MOST = 20
"""Structures in which neighbors are counted."""


def network_text(kind: str, structures: Sequence[Labelled]) -> str:
    """Keys with sensible values for the data.

    Args:
        kind: of the network.
        structures: the data.
    """
    elements = sorted({symbol for s in structures for symbol in s.atoms.get_chemical_symbols()})
    if kind == "cace":
        return _CACE.format(
            kinds=", ".join(KINDS),
            species=", ".join(elements),
            embedding=max(2, min(4, len(elements))),
            embed="" if len({s.total_charge for s in structures}) > 1 else "# ",
        )
    config = dataclasses.replace(default_config(kind), species=tuple(elements))
    config = dataclasses.replace(config, average_neighbors=_neighbors(structures, config.cutoff))
    meanings = _meanings(type(config))
    lines = [_line("kind", kind, ", ".join(KINDS))]
    for field in dataclasses.fields(config):
        if field.name not in ("kind", "heads"):  # heads are those of imported networks
            lines.append(_line(field.name, getattr(config, field.name), meanings[field.name]))
    return "".join(lines)


def _neighbors(structures: Sequence[Labelled], cutoff: float) -> float:
    """Mean number of neighbors of an atom within the cutoff [A]."""
    chosen = structures[:: -(-len(structures) // _AT_MOST)]
    counts = []
    for structure in chosen:
        atoms = structure.atoms
        edges, _ = neighbor_list(atoms.positions, atoms.cell.array, structure.periodic, cutoff)
        counts.append(edges.shape[1] / len(atoms))
    return max(1.0, round(float(np.mean(counts)), 1))


def _line(key: str, value: Any, meaning: str) -> str:
    """A key with the first words of what it means."""
    value = json.dumps(list(value)) if isinstance(value, tuple) else json.dumps(value)
    entry = f"  {key}: {value}".replace('"', "")
    return f"{entry:<28} # {textwrap.shorten(meaning, 68, placeholder=' ...')}\n"


def _meanings(config: type[Any]) -> dict[str, str]:
    """What the docstring says of each attribute, up to the first full stop or semicolon."""
    text = (inspect.getdoc(config) or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n     +.*)*)", text, re.M)
    found: dict[str, str] = {}
    for names, meaning in entries:
        first = re.split(r"[.;](?:\s|$)", " ".join(meaning.split()))[0]
        found |= dict.fromkeys(names.split(", "), first)
    return found
