"""Write the toy models as model files: `python tests/models/generate.py OUTDIR`.

Each is written twice, NAME-float64.pt and NAME-float32.pt. Answers: toy_networks.py,
deep_network.py and, for `by_hand`, by_hand.py.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lammps_les.model_file import network_section
from lammps_les.models import (
    CaceConfig,
    CaceNetwork,
    MessageConfig,
    ReadoutConfig,
    RepresentationConfig,
)
from lammps_les_export import wrap, write_model
from lammps_les_export.adapters import ImportedModel

sys.path.insert(0, str(Path(__file__).parent))
import by_hand  # noqa: E402
from deep_network import DeepNetwork  # noqa: E402
from multipole_network import EVERY, MultipoleNetwork  # noqa: E402
from toy_networks import (  # noqa: E402
    ConstantCharges,
    FailsWhenClose,
    HarmonicBonds,
    LayeredCharges,
    LinearCharges,
    NonFinite,
    Raising,
    TwoLayers,
    WrongBackward,
)

COULOMB_NORM = 90.475637892602  # 2 pi 14.399645, written out: tests do not repeat the formula

WATER = ["H", "O"]
SALT = ["Na", "Cl"]


def toy_models() -> dict[str, tuple[nn.Module, dict[str, Any]]]:
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
            {
                "atomic_energies": {"H": -13.5, "O": -432.1},
                "unit": 0.8,
                "sign": [1.0, -1.0],
                "epsilon_inf": [[1.9, 0.1, 0.0], [0.1, 1.7, 0.0], [0.0, 0.0, 1.6]],
                "remove_self": True,
                "self_factor": 2.0,
            },
        ),
        # as many channels as atoms of a molecule, and as directions
        "three_channels": (
            LinearCharges(
                WATER, [[0.4, -0.8], [0.1, -0.3], [-0.2, 0.5]], [0.02, -0.01, 0.04], cutoff=2.5
            ),
            {"unit": 0.7, "sign": [1.0, -1.0, 1.0], "epsilon_inf": 1.8},
        ),
        # charges that follow the distances, shifted so that the system has the charge +1 e
        "total_charge": (
            LinearCharges(WATER, [[0.4, -0.8]], [0.02]),
            {"total": 1.0, "sign": [-1.0], "unit": 0.8, "epsilon_inf": 1.8, "remove_mean": False},
        ),
        "total_charge_two_layers": (
            LayeredCharges(WATER, [0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1),
            {"total": 0.0, "epsilon_inf": 1.8},
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
        # the same as two_layers, without pieces
        "wrapped": (
            wrap(
                TwoLayers([0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1),
                species=WATER,
                cutoff=3.0,
                layers=2,
                channels=1,
            ),
            {"epsilon_inf": 1.8},
        ),
        "deep": (DeepNetwork(WATER), {"epsilon_inf": 1.8}),
        "cace": (cace_network(), {"epsilon_inf": 1.8, "unit": 0.8, "sign": [-1.0]}),
        # dipoles and more; alpha with what it leaves of epsilon_inf
        "dipoles": (MultipoleNetwork(WATER, EVERY[:2]), {"epsilon_inf": 1.8, "remove_self": True}),
        "multipoles": (
            MultipoleNetwork(WATER, (*EVERY[:3], "alpha"), channels=2),
            {
                "unit": 0.8,
                "sign": [-1.0, 1.0],
                "bec_fitted": True,
                "remove_self": True,
                "self_factor": 2.0,
                "epsilon_inf": 1.8,
                "epsilon_e": [[1.6, 0.1, 0.0], [0.1, 1.5, 0.0], [0.0, 0.0, 1.4]],
            },
        ),
        "responding": (
            MultipoleNetwork(WATER, EVERY, layers=2),
            {"unit": 0.8, "sign": [-1.0], "epsilon_inf": 1.8, "epsilon_e": 1.5, "total": 1.0},
        ),
        # ions that keep their charge, and answer to the potential: kappa = 0.004 ln 2
        "soft_ions": (
            MultipoleNetwork(
                SALT,
                ("charge", "kappa"),
                weights=torch.zeros(12, 2, 2, dtype=torch.float64),
                base=torch.tensor([1.0, -1.0], dtype=torch.float64),
            ),
            {"remove_self": True},
        ),
        "softened": (
            MultipoleNetwork(WATER, ("charge", "kappa")),
            {"unit": 0.9, "epsilon_inf": 1.8, "remove_mean": False},
        ),
        "raises": (Raising(WATER, distance=100.0), {}),
        "raises_when_close": (Raising(WATER, distance=0.8), {}),
        "fails_in_charge": (FailsWhenClose(WATER, "charge", distance=0.8), {}),
        "fails_in_backward": (FailsWhenClose(WATER, "backward", distance=0.8), {}),
        "fails_in_bec": (FailsWhenClose(WATER, "bec", distance=0.8), {}),
        "non_finite": (NonFinite(WATER), {}),
        "wrong_backward": (WrongBackward(WATER), {}),
    }


def cace_network() -> CaceNetwork:
    """Two layers with everything that passes between layers of the kind `cace`."""
    torch.manual_seed(1)
    messages = MessageConfig(memory=True, attenuated=True, per_l=True, per_channel=True)
    sizes = {"cutoff": 2.5, "n_bessel": 3, "n_radial": 4, "max_l": 2, "max_nu": 3, "layers": 2}
    return CaceNetwork(
        CaceConfig(
            species=tuple(WATER),
            representation=RepresentationConfig(**sizes, messages=(messages,)),
            charge=ReadoutConfig(hidden=(24, 12), scale=6.0),
        )
    ).double()


def toy_metadata(network: nn.Module, dtype: str, **changes: Any) -> dict[str, Any]:
    """Metadata of a toy: charges in e, sigma 1 A, dl 2 A; ``changes`` replace fields by name.

    A name may be that of a field in any section.
    """
    fields: dict[str, Any] = {
        "format_version": 2,
        "network": network_section(network, dtype),
        "latents": getattr(network, "latent_names", ["charge"] if network.channels > 0 else []),
        "long_range": {
            "sigma": 1.0,
            "dl": 2.0,
            "norm": COULOMB_NORM,
            "remove_self": False,
            "self_factor": 1.0,
            "open_shift": 0.0,
        },
        "charges": {
            "channels": network.channels,
            "unit": 1.0,
            "sign": [1.0] * network.channels,
            "total": None,
        },
        "response": {
            "epsilon_inf": 1.0,
            "remove_mean": True,
            "bec_form": "local",
            "bec_fitted": False,
            "epsilon_e": None,
        },
        "atomic_energies": dict.fromkeys(network.species, 0.0),
        "atomic_masses": {},
        "provenance": {
            "source": "tests/models/toy_networks.py",
            "sha256": "",
            "program": "lammps-les tests",
            "version": "1",
            "date": "2025-01-01",
            "citation": "",
        },
    }
    return changed(fields, **changes)


def changed(fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Metadata with some fields replaced; a name may be that of a field in any section."""
    for name, value in changes.items():
        sections = [s for s in fields.values() if isinstance(s, dict) and name in s]
        place = fields if name in fields else sections[0]
        assert name in fields or len(sections) == 1, name
        replaced = {**place, name: value}
        if place is fields:
            fields = replaced
        else:
            fields = {k: replaced if v is place else v for k, v in fields.items()}
    return fields


def imported_metadata(imported: ImportedModel, dtype: str, **changes: Any) -> dict[str, Any]:
    """Metadata of an imported network with what its file does not say: epsilon_inf 1, signs +1."""
    network = imported.network
    fields = {
        **imported.metadata,
        "format_version": 2,
        "network": network_section(network, dtype),
        "latents": ["charge"] if network.channels > 0 else [],
        "charges": {
            **imported.metadata["charges"],
            "channels": network.channels,
            "sign": [1.0] * network.channels,
        },
        "response": {**imported.metadata["response"], "epsilon_inf": 1.0},
        "atomic_energies": dict.fromkeys(network.species, 0.0),
        "provenance": {**imported.metadata["provenance"], "date": "2025-01-01"},
    }
    return changed(fields, **changes)


def write_toy_model(path: Path, name: str, dtype: str) -> None:
    """Write one of the toys, or `by_hand`."""
    if name == "by_hand":
        by_hand.write(str(path), dtype)
        return
    network, changes = toy_models()[name]
    write_model(path, network, toy_metadata(network, dtype, **changes))


def write_toy_models(directory: str | Path) -> list[Path]:
    """Write all toys in float64 and float32 into a directory; return the files."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for name in (*toy_models(), "by_hand"):
        for dtype in ("float64", "float32"):
            files.append(directory / f"{name}-{dtype}.pt")
            write_toy_model(files[-1], name, dtype)
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outdir", help="directory for the files")
    for file in write_toy_models(parser.parse_args().outdir):
        print(file)
