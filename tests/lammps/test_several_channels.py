"""How several charge channels couple to a field is not in the energies: refused, until said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import CalculatorSetupError
from generate import toy_metadata, toy_models
from lmp import run
from test_errors import error_of

from lammps_les.calculators import LesCalculator
from lammps_les_export import write_model

BORN = "born_effective_charges"
COMMANDS = {
    "fix": ["fix f all efield/bec 0.1 -0.2 0.3", "run 0"],
    "a field of zero": ["fix f all efield/bec 0.0 0.0 0.0", "run 0"],
    "forces only": ["fix f all efield/bec 0.1 -0.2 0.3 response field", "run 0"],
    "compute les/atom": ["compute z all les/atom bec", "run 0"],
    "compute les/current": ["compute j all les/current", "run 0"],
}


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """The toy of two channels, trained with Born effective charges or without."""

    def written(fitted: bool) -> Path:
        network, fields = toy_models()["two_channels"]
        path = tmp_path / f"{fitted}.pt"
        write_model(path, network, toy_metadata(network, "float64", **fields, bec_fitted=fitted))
        return path

    return written


@pytest.mark.parametrize("ranks", [1, 2])
def test_lammps(
    ranks: int, water: Callable[..., Atoms], model: Callable[..., Path], tmp_path: Path
) -> None:
    atoms = water(2)
    for name, commands in COMMANDS.items():
        folder = tmp_path / name.replace("/", "-").replace(" ", "-")
        options = {"ranks": ranks, "quantities": "", "commands": commands}
        message = error_of(folder, atoms, model(False), **options)
        assert "has 2 charge channels, and no label settled how they couple to a field" in message
        assert "by 'pair_style les multichannel_bec yes'" in message
        run(folder / "fitted", atoms, model(True), **options)
    run(tmp_path / "energies", atoms, model(False), ranks=ranks, quantities="")
    # taken as they are, they are those of the calculator
    expected = LesCalculator(model(True)).get_property(BORN, atoms)
    for name, fitted, style in (("yes", False, "multichannel_bec yes"), ("label", True, "")):
        found = run(
            tmp_path / name, atoms, model(fitted), ranks=ranks, style=style, quantities="bec"
        )
        np.testing.assert_allclose(found.bec, expected, rtol=0, atol=1e-9)


def test_calculator(water: Callable[..., Atoms], model: Callable[..., Path]) -> None:
    atoms = water(2)
    text = "has 2 charge channels, and no label settled .* by multichannel_bec=True"
    plain = LesCalculator(model(False))
    assert np.isfinite(plain.get_property("energy", atoms))
    with pytest.raises(CalculatorSetupError, match=text):
        plain.get_property(BORN, atoms)
    with pytest.raises(CalculatorSetupError, match=text):
        LesCalculator(model(False), field=[0.0, 0.0, 0.1])
    taken = LesCalculator(model(False), field=[0.0, 0.0, 0.1], multichannel_bec=True)
    fitted = LesCalculator(model(True), field=[0.0, 0.0, 0.1])
    np.testing.assert_array_equal(
        taken.get_property("forces", atoms), fitted.get_property("forces", atoms)
    )
