"""Write the toy models as model files: `python tests/models/generate.py OUTDIR`.

Each is written twice, NAME-float64.pt and NAME-float32.pt. Answers: toy_networks.py.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from lammps_les_export import write_model

sys.path.insert(0, str(Path(__file__).parent))
from toy_networks import (  # noqa: E402
    ConstantCharges,
    FailsWhenClose,
    HarmonicBonds,
    LayeredCharges,
    LinearCharges,
    NonFinite,
    Raising,
    ToyNetwork,
    WithoutLayers,
    WrongLayers,
    WrongPullBack,
)

COULOMB_NORM = 90.475637892602  # 2 pi 14.399645, written out: tests do not repeat the formula

WATER = ["H", "O"]
SALT = ["Na", "Cl"]


def toy_models() -> dict[str, tuple[ToyNetwork, dict[str, Any]]]:
    """Network and metadata of every toy by name; metadata not given here: ``toy_metadata``."""
    two_channels = LinearCharges(WATER, [[0.4, -0.8], [0.1, -0.3]], [0.02, -0.01])
    return {
        # fixed charges; water: kept self-interaction, atomic energies, field coupling
        "constant": (
            ConstantCharges(WATER, [0.4, -0.8]),
            {"atomic_energies": {"H": -13.5, "O": -432.1}, "epsilon_inf": 1.8},
        ),
        # neutral ions, self-interaction removed, converged k sum: equals kspace_style ewald
        "ions": (ConstantCharges(SALT, [1.0, -1.0]), {"remove_self": True, "dl": 0.6}),
        "linear": (LinearCharges(WATER, [[0.4, -0.8]], [0.02]), {"epsilon_inf": 1.8}),
        "two_channels": (
            two_channels,
            {"charge_sign": [1.0, -1.0], "remove_self": True, "self_factor": 2.0},
        ),
        # charges that follow the distances, shifted so that the system has the charge +1 e
        "total_charge": (
            LinearCharges(WATER, [[0.4, -0.8]], [0.02]),
            {"total_charge": 1.0, "charge_sign": [-1.0], "charge_unit": 0.8, "epsilon_inf": 1.8},
        ),
        "total_charge_two_layers": (
            LayeredCharges(WATER, [0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1),
            {"total_charge": 0.0, "epsilon_inf": 1.8},
        ),
        "harmonic": (HarmonicBonds(WATER, 5.0, 1.0), {}),
        "harmonic_one_channel": (HarmonicBonds(WATER, 5.0, 1.0, channels=1), {}),
        "two_layers": (
            LayeredCharges(WATER, [0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1),
            {"epsilon_inf": 1.8},
        ),
        "three_layers": (
            LayeredCharges(
                WATER, [0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1, cutoff=2.5, layers=3
            ),
            {"remove_mean": False},
        ),
        "no_layers": (WithoutLayers(WATER), {}),
        "no_cut": (WrongLayers(WATER, n_cuts=0), {}),
        "no_graph": (WrongLayers(WATER, n_cuts=1), {}),
        "raises": (Raising(WATER, distance=100.0), {}),
        "raises_when_close": (Raising(WATER, distance=0.8), {}),
        "fails_in_charge": (FailsWhenClose(WATER, "charge", distance=0.8), {}),
        "fails_in_pull_back": (FailsWhenClose(WATER, "pull_back", distance=0.8), {}),
        "fails_in_born": (FailsWhenClose(WATER, "born", distance=0.8), {}),
        "non_finite": (NonFinite(WATER), {}),
        "wrong_pull_back": (WrongPullBack(WATER), {}),
    }


def toy_metadata(network: ToyNetwork, dtype: str, **changes: Any) -> dict[str, Any]:
    """Metadata of a toy: charges in e, sigma 1 A, dl 2 A; ``changes`` replace fields."""
    fields: dict[str, Any] = {
        "format_version": 1,
        "species": network.species,
        "cutoff": network.cutoff,
        "layers": network.layers,
        "dtype": dtype,
        "channels": network.channels,
        "sigma": 1.0,
        "dl": 2.0,
        "norm": COULOMB_NORM,
        "remove_self": False,
        "self_factor": 1.0,
        "open_shift": 0.0,
        "charge_unit": 1.0,
        "charge_sign": [1.0] * network.channels,
        "epsilon_inf": 1.0,
        "remove_mean": True,
        "atomic_energies": dict.fromkeys(network.species, 0.0),
        "provenance": {
            "source": "tests/models/toy_networks.py",
            "sha256": "",
            "program": "lammps-les tests",
            "version": "1",
            "date": "2025-01-01",
            "citation": "",
        },
    }
    return {**fields, **changes}


def write_toy_models(directory: str | Path) -> list[Path]:
    """Write all toys in float64 and float32 into a directory; return the files."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for name, (network, changes) in toy_models().items():
        for dtype in ("float64", "float32"):
            path = directory / f"{name}-{dtype}.pt"
            write_model(path, network, toy_metadata(network, dtype, **changes))
            files.append(path)
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outdir", help="directory for the files")
    for file in write_toy_models(parser.parse_args().outdir):
        print(file)
