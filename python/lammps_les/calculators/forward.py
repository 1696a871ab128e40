"""Model files evaluated by their own method ``forward``, which differentiates automatically."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from torch import Tensor

from lammps_les.calculators.ase import LesCalculator
from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import (
    coupling_charges,
    coupling_dielectric,
    dielectric_root,
    polarizability,
    susceptibility,
)
from lammps_les.model_file import Dielectric, ModelFileError, load_model

EpsilonE = Literal["constant", "frame"]


class ForwardCalculator:
    """A model file with latents of any kind, for labeled structures: slow, and all in one process.

    Args:
        model: model file.
        bec: form of the Born effective charges, ``local`` or ``phase``; default: that of the file.
        epsilon_inf: replaces that of the file; epsilon_e follows it by the mean susceptibility.
        device: ``cpu``, ``cuda``, ``cuda:N``.
        epsilon_e: with alpha, ``constant``: the number of the file; ``frame``: epsilon_inf /
            (1 + chi) with chi of each structure, as in Kim et al., arXiv:2605.05746.

    Attributes:
        metadata: of the file.
        results: of the last structure: energy [eV], forces [N, 3], charges [N] in e and, where they
            are, stress [6], born_effective_charges, charges_induced [N], dipoles [N, 3] (induced
            ones included) in e A, quadrupoles [N, 3, 3] in e A^2, polarizability [3, 3] in
            e A^2/V of alpha times epsilon_e, and that dielectric constant, or tensor, as coupling.

    Raises:
        ModelFileError: the file cannot be used.
        ValueError: ``epsilon_e`` is ``frame``, and the model has no alpha.
    """

    def __init__(
        self,
        model: str | Path,
        bec: str | None = None,
        epsilon_inf: Dielectric | None = None,
        device: str = "cpu",
        epsilon_e: EpsilonE = "constant",
    ) -> None:
        self.module, self.metadata = load_model(model, device)
        self.device = torch.device(device)
        self.bec = bec or self.metadata.response.bec_form
        response = self.metadata.response
        alpha = "alpha" in self.metadata.latents
        if epsilon_e == "frame" and not alpha:
            raise ValueError(
                f"epsilon_e of each frame needs alpha, but model file {model} has "
                f"{', '.join(self.metadata.latents) or 'no latents'}; leave the option out"
            )
        self.of_frame = epsilon_e == "frame"
        self.epsilon_inf = response.epsilon_inf if epsilon_inf is None else epsilon_inf
        self.epsilon: Dielectric = self.metadata.coupling_epsilon
        if epsilon_inf is not None:
            chi = (response.susceptibility or 0.0) if alpha else 0.0
            self.epsilon = coupling_dielectric(epsilon_inf, chi * torch.eye(3))
        self._sign = torch.tensor(self.metadata.charges.sign, dtype=torch.float64)
        self.results: dict[str, Any] = {}

    def calculate(self, atoms: Atoms, properties: Sequence[str]) -> None:
        """Fill ``results``; Born effective charges only where they are among the properties.

        Raises:
            ValueError: an element that the model does not know, or boundaries of a slab.
        """
        pbc = torch.tensor(atoms.pbc)
        periodic = bool(pbc.all())
        if not periodic and bool(pbc.any()):
            raise ValueError("boundaries must be periodic in all three directions or in none")
        network = self.metadata.network
        index = {symbol: i for i, symbol in enumerate(network.species)}
        unknown = sorted(set(atoms.get_chemical_symbols()) - set(index))
        if unknown:
            raise ModelFileError(
                f"the model has species {' '.join(index)}; a structure has {' '.join(unknown)}"
            )
        cell = atoms.cell.array
        edges, shifts = neighbor_list(atoms.positions, cell, periodic, network.cutoff)
        arguments = (
            torch.from_numpy(atoms.positions.copy()),
            torch.tensor([index[symbol] for symbol in atoms.get_chemical_symbols()]),
            torch.from_numpy(cell.copy()),
            pbc,
            edges,
            shifts,
        )
        want_bec = "born_effective_charges" in properties
        with torch.enable_grad(), torch.jit.optimized_execution(False):
            found = self.module(*(x.to(self.device) for x in arguments), want_bec, self.bec)
        result = {name: value.detach().cpu() for name, value in found.items()}
        self.results = self._results(result, abs(atoms.cell.volume) if periodic else None)

    def _results(self, found: dict[str, Tensor], volume: float | None) -> dict[str, Any]:
        unit = self.metadata.charges.unit
        results: dict[str, Any] = {
            "energy": float(found["energy"]),
            "forces": found["forces"].numpy(),
            "charges": coupling_charges(found["charge"], unit, self._sign).numpy(),
        }
        if volume is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(found["stress"].numpy())
        parts = [found[name].double() for name in ("dipole", "dipole_induced") if name in found]
        if parts:
            dipoles = torch.stack(parts).sum(0)
            results["dipoles"] = coupling_charges(dipoles, unit, self._sign).numpy()
        others = {"quadrupole": "quadrupoles", "charge_induced": "charges_induced"}
        for name, plural in others.items():
            if name in found:
                value = found[name].double()
                results[plural] = coupling_charges(value, unit, self._sign).numpy()
        root = dielectric_root(self._coupling(found, volume, results))
        if "bec" in found:
            own = dielectric_root(self.metadata.coupling_epsilon)
            results["born_effective_charges"] = (
                root @ torch.linalg.inv(own) @ found["bec"]
            ).numpy()
        if "alpha" in found:
            results["polarizability"] = polarizability(_tensors(found["alpha"]), unit, root).numpy()
        return results

    def _coupling(
        self, found: dict[str, Tensor], volume: float | None, results: dict[str, Any]
    ) -> Dielectric:
        """The dielectric constant or tensor that latents couple with, also into the results."""
        epsilon = self.epsilon
        if self.of_frame and volume is not None:
            norm = self.metadata.long_range.norm
            chi = susceptibility(_tensors(found["alpha"]), norm, volume)
            epsilon = coupling_dielectric(self.epsilon_inf, chi)
        results["coupling"] = epsilon
        return epsilon


def _tensors(alpha: Tensor) -> Tensor:
    """Alpha [N, C] or [N, C, 3, 3] as tensors, in float64."""
    alpha = alpha.double()
    if alpha.dim() == 2:
        return alpha[:, :, None, None] * torch.eye(3, dtype=alpha.dtype)
    return alpha


def calculator_for(
    model: str | Path,
    latents: Sequence[str],
    epsilon_e: EpsilonE = "constant",
    **options: Any,
) -> LesCalculator | ForwardCalculator:
    """What evaluates a model file on labeled structures; options as of the calculators.

    Args:
        model: model file.
        latents: that it has.
        epsilon_e: as for ``ForwardCalculator``.
        options: ``bec``, ``epsilon_inf``, ``device``.
    """
    if len(latents) > 1 or epsilon_e != "constant":
        return ForwardCalculator(model, epsilon_e=epsilon_e, **options)
    return LesCalculator(model, multichannel_bec=True, **options)
