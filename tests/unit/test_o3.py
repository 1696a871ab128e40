"""Harmonics, coupling coefficients and irreps against e3nn's values.

``e3nn_values.npz`` was made with e3nn 0.6.0: "harmonics" is ``o3.spherical_harmonics(range(7),
unit, normalize=False, normalization="component")``, and "a b c" is ``o3.wigner_3j(a, b, c)``.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from lammps_les.models.o3.coupling import wigner_3j
from lammps_les.models.o3.harmonics import spherical_harmonics
from lammps_les.models.o3.irreps import Irrep, format_irreps, parse_irreps

VALUES = np.load(Path(__file__).with_name("e3nn_values.npz"))
UNIT = torch.from_numpy(VALUES["unit"])


@pytest.mark.parametrize("l_max", range(7))
def test_harmonics_are_those_of_e3nn_also_scripted(l_max):
    expected = VALUES["harmonics"][:, : (l_max + 1) ** 2]
    assert np.abs(spherical_harmonics(UNIT, l_max).numpy() - expected).max() < 1e-14
    scripted = torch.jit.script(spherical_harmonics)
    assert np.abs(scripted(UNIT, l_max).numpy() - expected).max() < 1e-14


def test_harmonics_have_two_derivatives_at_the_poles_too():
    unit = UNIT.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda u: spherical_harmonics(u, 4), unit)
    assert torch.autograd.gradgradcheck(lambda u: spherical_harmonics(u, 4), unit)


def test_coupling_coefficients_are_those_of_e3nn():
    triples = [tuple(map(int, key.split())) for key in VALUES if key[0].isdigit()]
    assert len(triples) > 30
    for triple in triples:
        expected = VALUES[" ".join(map(str, triple))]
        assert np.abs(wigner_3j(*triple).numpy() - expected).max() < 1e-14, triple


def test_coupling_coefficients_are_handed_out_as_copies():
    wigner_3j(1, 1, 1).zero_()
    assert float(torch.linalg.norm(wigner_3j(1, 1, 1))) == pytest.approx(1.0)


@pytest.mark.parametrize("orders", [(0, 0, 1), (1, 2, 4), (3, 1, 1)])
def test_orders_of_no_triangle_are_refused(orders):
    with pytest.raises(ValueError, match="expected three orders of a triangle, got"):
        wigner_3j(*orders)


def test_irreps_are_read_and_written():
    irreps = [Irrep(32, 0, 1), Irrep(16, 1, -1), Irrep(1, 12, 1)]
    assert parse_irreps("32x0e + 16x1o+12e") == irreps
    assert format_irreps(irreps) == "32x0e+16x1o+1x12e"
    assert parse_irreps("") == []


@pytest.mark.parametrize("text", ["32x0", "x0e", "0e+", "3x1y", "-1x0e", "32x0e,1o", "1e9x0e"])
def test_irreps_written_otherwise_are_refused(text):
    with pytest.raises(ValueError, match="expected irreps as in 32x0e"):
        parse_irreps(text)
