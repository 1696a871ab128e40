"""Weights of published checkpoints that were rounded on their way."""

import math

import numpy as np
import pytest
import torch
from test_cace_import import checkpoint, named, varied

from lammps_les_export import adapters
from lammps_les_export.adapters import read_checkpoint
from lammps_les_export.unpickler import Stub, load_pickle


def rounded(root: Stub, dtype: torch.dtype, *, plain: bool) -> None:
    """Numbers without an exact float32 in all places of a checkpoint, as buffers of a type.

    Args:
        root: the checkpoint.
        dtype: of the buffers.
        plain: whether the numbers that CACE keeps as attributes stay Python's.
    """
    cutoff, sigma, dl, factor = 5.29, 0.83, 1.7, 1.83**0.5 / 9.48933
    for kind in (".BesselRBF", ".PolynomialCutoff"):
        named(root, kind).state["_buffers"]["cutoff"] = torch.tensor(cutoff, dtype=dtype)
    prefactor = torch.tensor(math.sqrt(2.0 / cutoff), dtype=dtype)
    named(root, ".BesselRBF").state["_buffers"]["prefactor"] = prefactor
    settings = {
        ".Cace": {"cutoff": cutoff, "mp_norm_factor": 1.0 / math.sqrt(9.7)},
        ".EwaldPotential": {
            "sigma": sigma,
            "sigma_sq_half": sigma**2 / 2.0,
            "dl": dl,
            "k_sq_max": (2.0 * math.pi / dl) ** 2,
            "norm_factor": 1.0,
        },
        ".Polarization": {"normalization_factor": factor},
    }
    for kind, values in settings.items():
        for key, value in values.items():
            stored = value if plain else torch.tensor(value, dtype=dtype)
            named(root, kind).state[key] = stored


@pytest.mark.parametrize("plain", [True, False])
def test_numbers_that_float32_cannot_hold_are_the_same_in_every_type(shared, monkeypatch, plain):
    path = checkpoint(shared, "cace-lr_superionic_2gcc_finetuned")
    found = {}
    for dtype in (torch.float32, torch.float64):
        root = load_pickle(path)
        rounded(root, dtype, plain=plain)
        monkeypatch.setattr(adapters, "load_pickle", lambda _, root=root: root)
        found[dtype] = read_checkpoint(path)
    single, double = found.values()
    keys = ("sigma", "dl", "norm")
    for imported in found.values():
        values = [imported.metadata["long_range"][key] for key in keys]
        values.insert(0, imported.network.cutoff)
        assert values == pytest.approx([5.29, 0.83, 1.7, 1.0], rel=1e-12 if plain else 1e-7)
        assert all(isinstance(value, float) for value in values)
        assert imported.suggested["epsilon_inf"] == pytest.approx(1.83, rel=1e-6)
        assert imported.suggested["charge_sign"] == [1.0]
    torch.manual_seed(0)
    vectors = torch.randn(6, 3, dtype=torch.float64) * 2.0
    graph = (vectors, torch.tensor([[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]), torch.zeros(3).long())
    energies = [imported.network(*graph, 3)["energy"] for imported in (single, double)]
    torch.testing.assert_close(*energies, rtol=1e-5, atol=1e-5)


def test_environments_that_differ_by_rounding_are_one(shared, monkeypatch):
    """The cutoff of one of two potentials was given as a float32, that of the other as typed."""
    path = checkpoint(shared, "cace-lr_random_charge_c5")
    root = load_pickle(path)
    for n, potential in enumerate(root.get("models").children()):
        cutoff = 5.29 if n == 0 else float(np.float32(5.29))
        representation = potential.get("representation")
        representation = varied(representation)
        representation.state["cutoff"] = cutoff
        for name in ("radial_basis", "cutoff_fn"):
            part = representation.get(name)
            part.state["_buffers"]["cutoff"] = torch.tensor(cutoff, dtype=torch.float32)
        potential.state["_modules"]["representation"] = representation
    monkeypatch.setattr(adapters, "load_pickle", lambda _: root)
    network = read_checkpoint(path).network
    parts = (network.config.representation, network.config.charge_representation)
    assert {part.cutoff for part in parts if part} == {network.cutoff} == {5.29}
