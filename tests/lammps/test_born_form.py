"""The form of Born effective charges is that of the model file, unless the input says otherwise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from generate import toy_metadata
from lmp import run
from toy_networks import LayeredCharges, LinearCharges, ToyNetwork

from lammps_les.calculators import LesCalculator
from lammps_les_export import write_model

WATER = ["H", "O"]


def networks() -> dict[str, ToyNetwork]:
    """Charges that respond to their surroundings, of one and of two layers."""
    return {
        "one_layer": LinearCharges(WATER, [[0.4, -0.8]], [0.05]),
        "two_layers": LayeredCharges(WATER, [0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1),
    }


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", ["one_layer", "two_layers"])
def test_file_decides_and_keyword_overrides(
    name: str, ranks: int, water: Callable[..., Atoms], tmp_path: Path
) -> None:
    """Both forms by explicit argument of the calculator are the truth; they differ by 0.01 e."""
    atoms, network = water(2), networks()[name]
    expected = {}
    for form in ("local", "phase"):
        path = tmp_path / f"{form}.pt"
        write_model(path, network, toy_metadata(network, "float64", bec_form=form))
        calculator = LesCalculator(path, bec=form)
        expected[form] = calculator.get_property("born_effective_charges", atoms)
    assert np.abs(expected["local"] - expected["phase"]).max() > 0.01
    field = ["fix field all efield/bec 0.1 -0.2 0.3 neutral no", "run 0"]
    push = np.array([0.1, -0.2, 0.3])
    for form, other in (("local", "phase"), ("phase", "local")):
        model = tmp_path / f"{form}.pt"
        by_default = LesCalculator(model).get_property("born_effective_charges", atoms)
        np.testing.assert_allclose(by_default, expected[form], rtol=0, atol=1e-12)
        plain = run(tmp_path / f"{form}_plain", atoms, model, ranks=ranks)
        found = run(tmp_path / form, atoms, model, ranks=ranks, commands=field)
        np.testing.assert_allclose(found.bec, expected[form], rtol=0, atol=1e-9)
        assert f"Born effective charges in the {form} form, that of the model file" in found.log
        np.testing.assert_allclose(
            found.forces - plain.forces,
            np.einsum("a,iab->ib", push, expected[form]),
            rtol=0,
            atol=1e-9,
        )
        found = run(tmp_path / f"not_{form}", atoms, model, ranks=ranks, style=f"bec {other}")
        np.testing.assert_allclose(found.bec, expected[other], rtol=0, atol=1e-9)
        assert f"in the {other} form, as pair_style says; that of the model file is {form}" in (
            found.log
        )


def test_a_model_without_charges_says_nothing_of_them(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    found = run(tmp_path, water(2), toy_model("harmonic"), quantities="")
    assert "Born effective" not in found.log


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("name", ["one_layer", "two_layers"])
def test_dielectric_tensor(
    name: str, form: str, water: Callable[..., Atoms], tmp_path: Path
) -> None:
    """epsilon_inf^(1/2) acts on the index of the polarization, and on nothing else."""
    atoms, network = water(2), networks()[name]
    root = np.array([[1.4, 0.2, -0.1], [0.2, 1.2, 0.3], [-0.1, 0.3, 1.6]])
    epsilon = (root @ root).round(12)
    epsilon = (epsilon + epsilon.T) / 2
    models = {}
    for kind, value in (("number", 1.0), ("tensor", epsilon.tolist())):
        models[kind] = tmp_path / f"{kind}.pt"
        write_model(models[kind], network, toy_metadata(network, "float64", epsilon_inf=value))
    bare = run(tmp_path / "bare", atoms, models["number"], style=f"bec {form}")
    expected = np.einsum("ac,icb->iab", root, bare.bec)
    assert np.abs(expected - expected.transpose(0, 2, 1)).max() > 0.01
    for ranks in (1, 2):
        found = run(
            tmp_path / f"tensor{ranks}", atoms, models["tensor"], ranks=ranks, style=f"bec {form}"
        )
        np.testing.assert_allclose(found.bec, expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.forces, bare.forces, rtol=0, atol=1e-10)
        for response in ("full", "field"):
            fix = f"fix f all efield/bec 0.1 -0.2 0.3 neutral no response {response}"
            pushed = run(
                tmp_path / f"{response}{ranks}",
                atoms,
                models["tensor"],
                ranks=ranks,
                style=f"bec {form}",
                commands=[fix, "run 0"],
            )
            push = np.einsum("a,iab->ib", [0.1, -0.2, 0.3], expected)
            np.testing.assert_allclose(pushed.forces - found.forces, push, rtol=0, atol=1e-10)
    calculator = LesCalculator(models["number"], bec=form, epsilon_inf=epsilon.tolist())
    tensor = calculator.get_property("born_effective_charges", atoms)
    np.testing.assert_allclose(tensor, expected, rtol=0, atol=1e-10)
