"""ASE calculator for model files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import (
    CalculationFailed,
    Calculator,
    CalculatorSetupError,
    all_changes,
)
from ase.stress import full_3x3_to_voigt_6_stress

from lammps_les.calculators.system import Evaluation, SystemEvaluator
from lammps_les.electrostatics import coupling_dielectric, dielectric_root, susceptibility
from lammps_les.model_file import ModelFileError, checked_dielectric

_RESULTS = {
    "dipole": "dipoles",
    "quadrupole": "quadrupoles",
    "alpha": "polarizabilities",
    "dq": "induced_charges",
    "du": "induced_dipoles",
}


class LesCalculator(Calculator):
    """Energy, forces, stress, charges and Born effective charges of a LES model, with a field.

    Results, in ASE units and signs: ``energy`` = ``free_energy`` [eV], ``energies`` [N] (short
    range and 1/2 q phi), ``forces`` [eV/A], ``stress`` [eV/A^3, Voigt, (1/V) dE/d(strain)],
    ``charges`` [e] (charge_unit sum_c sign_c q_c, as in compute les/atom; mean not removed) and
    ``born_effective_charges`` [e], [atom, P component, r component]; ``dipole`` [e A], the sum of
    charges times positions and of dipoles, with the root of epsilon_inf, which in a periodic system
    has a meaning for changes only. Models with more than charges give ``dipoles`` [N, 3, e A] and
    ``quadrupoles`` [N, 3, 3, e A^2], and those that respond to fields ``polarizability`` [3, 3, e
    A^2/V; times 14.3996 in A^3] of all atoms, ``polarizabilities`` [N, 3, 3] without the root of
    epsilon, ``induced_charges`` [e] and ``induced_dipoles`` [e A].

    A uniform field E adds F_ib = sum_a E_a Z_iab to the forces (of a model with alpha also
    1/2 sum_ac E_a E_c d(alpha_ac)/dr_ib, of all atoms), and to nothing else: in a periodic
    system the energy in a field is minus the work done along the path, so ``energy`` stays the
    energy without field and is not conserved in a field; ``stress`` has no field part either.

    Boundaries are periodic in all directions, in none, or in the first two (a slab).

    Args:
        model: model file (FORMAT.md).
        field: uniform electric field in V/A, three numbers, or None.
        bec: form of the Born effective charges, ``local`` or ``phase``; default: that of the
            model file.
        neutral: remove the mean field force, so that the field does not move the center of the
            atoms; the sum of the Born effective charges of a LES model is not zero.
        epsilon_inf: replaces that of the model file; a number, or a symmetric tensor [3, 3].
        epsilon_e: what latents couple with where the model gives alpha: ``constant``, the
            number of the model file; ``frame``, epsilon_inf / (1 + chi) with chi of each periodic
            structure, as in Kim et al., arXiv:2605.05746 (without field).
        multichannel_bec: give Born effective charges of a model of several charge channels though
            no label settled how they couple to a field (``bec_fitted`` of the model file).
        device: ``cpu``, ``cuda``, ``cuda:N``.
        network: what evaluates the network: ``native`` kernels, the TorchScript of the file,
            ``script``, or ``auto``: kernels where they know the network.
        reference_cell: lattice vectors [A] from which the wave vectors (integer triples) of all
            periodic structures are chosen, for instance ``atoms.cell`` before a relaxation of the
            cell or a run at constant pressure: energy is then smooth in the cell, and stress its
            derivative. None: each structure's own cell, and the energy jumps where a shell of wave
            vectors crosses the cutoff of the model.

    Raises:
        ModelFileError: the file cannot be read, is damaged or not understood.
        CalculatorSetupError: wrong field, form, device or reference cell; an element that the model
            does not know; mixed boundaries; positions or a cell that cannot be meant; Born
            effective charges of channels whose coupling no label settled.
        CalculationFailed: the model raised, or gave an energy or force that is not finite.
    """

    implemented_properties = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "charges",
        "dipole",
        "dipoles",
        "quadrupoles",
        "polarizability",
        "polarizabilities",
        "induced_charges",
        "induced_dipoles",
        "born_effective_charges",
    ]

    def __init__(
        self,
        model: str | Path,
        field: Sequence[float] | None = None,
        bec: str | None = None,
        neutral: bool = True,
        epsilon_inf: float | Sequence[Sequence[float]] | None = None,
        multichannel_bec: bool = False,
        device: str = "cpu",
        network: str = "auto",
        epsilon_e: str = "constant",
        reference_cell: Any = None,
        **kwargs: Any,
    ) -> None:
        if "born" in kwargs:
            raise CalculatorSetupError("born is now bec")
        super().__init__(**kwargs)
        if field is not None and (np.shape(field) != (3,) or not np.isfinite(field).all()):
            raise CalculatorSetupError(f"field must be three numbers in V/A, got {field!r}")
        if reference_cell is not None:
            reference_cell = np.array(reference_cell, dtype=float)
            sound = reference_cell.shape == (3, 3) and np.isfinite(reference_cell).all()
            if not sound or not np.linalg.det(reference_cell):
                raise CalculatorSetupError(
                    f"reference_cell must be three lattice vectors in A, got {reference_cell}"
                )
        self.reference_cell = reference_cell
        self.model_file = Path(model)
        if bec not in (None, "local", "phase"):
            raise CalculatorSetupError(f"bec must be 'local' or 'phase', got {bec!r}")
        tensor = self._dielectric_tensor(epsilon_inf)
        try:
            self.evaluator = SystemEvaluator(model, bec, tensor, device, network)
        except ModelFileError:
            raise
        except ValueError as error:  # of another argument
            raise CalculatorSetupError(str(error)) from None
        self.metadata = self.evaluator.metadata
        self.bec = bec or self.metadata.response.bec_form
        self.epsilon_inf: Any = self.metadata.response.epsilon_inf
        if epsilon_inf is not None:
            self.epsilon_inf = epsilon_inf
        if epsilon_e not in ("constant", "frame"):
            raise CalculatorSetupError(
                f"epsilon_e must be 'constant' or 'frame', got {epsilon_e!r}"
            )
        if epsilon_e == "frame" and ("alpha" not in self.metadata.latents or field is not None):
            raise CalculatorSetupError(
                f"epsilon_e of each frame needs alpha, and no field, but model file {model} has "
                f"{', '.join(self.metadata.latents) or 'no latents'}"
            )
        self.epsilon_e = epsilon_e
        self.multichannel_bec = multichannel_bec
        self.field = None if field is None else np.asarray(field, dtype=float)
        if field is not None:
            self._check_coupling()
        self.neutral = neutral

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill ``results``; Born effective charges only where asked for or needed by a field."""
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        if atoms is None:
            raise CalculatorSetupError("LES: no atoms given")
        pbc = self._boundary(atoms)
        responds = "alpha" in self.metadata.latents
        linear = self.field is not None and not responds
        want_bec = linear or "born_effective_charges" in properties
        if want_bec or self.field is not None:
            self._check_coupling()
        species = self._species(atoms)
        try:
            result = self.evaluator.evaluate(
                atoms.get_positions(),
                species,
                atoms.cell.array,
                pbc,
                want_bec,
                self.reference_cell,
                self.field if responds else None,
            )
        except (RuntimeError, ModelFileError, MemoryError) as error:
            lines = str(error).strip().splitlines() or ["out of memory"]
            reason = next((line for line in lines if "Error: " in line), lines[0])
            raise CalculationFailed(f"model file {self.model_file}: {reason}") from error
        except ValueError as error:
            raise CalculatorSetupError(f"LES: {error}") from None
        energies = result.energies.numpy()
        forces = result.forces.numpy()
        self._check_finite(energies, forces)
        results: dict[str, Any] = {
            "energy": float(energies.sum()),
            "free_energy": float(energies.sum()),
            "energies": energies,
            "forces": forces,
            "charges": result.charges.numpy(),
        }
        if pbc[0]:
            virial = result.virial.numpy()
            stress = -0.5 * (virial + virial.T) / atoms.get_volume()
            results["stress"] = full_3x3_to_voigt_6_stress(stress)
        for name, value in result.latents.items():
            results[_RESULTS[name]] = value.numpy()
        results |= self._coupled(result, atoms)
        if self.field is not None:
            if result.field_forces is not None:
                field_forces = result.field_forces.numpy()
            else:
                field_forces = np.einsum("a,iab->ib", self.field, results["born_effective_charges"])
            if self.neutral:
                field_forces = field_forces - field_forces.mean(axis=0)
            results["forces"] = forces + field_forces
        self.results = results

    def _coupled(self, result: Evaluation, atoms: Atoms) -> dict[str, Any]:
        """What has the root of the dielectric constant, and that constant or tensor."""
        turn = torch.eye(3, dtype=torch.float64)
        root = turn if result.root is None else result.root
        found: dict[str, Any] = {"coupling": (root @ root).numpy()}
        if self.epsilon_e == "frame" and all(atoms.pbc):
            alpha = result.latents["alpha"][:, None] / self.metadata.charges.unit**2
            chi = susceptibility(alpha, self.metadata.long_range.norm, atoms.get_volume())
            own = dielectric_root(coupling_dielectric(self.epsilon_inf, chi))
            turn = own @ torch.linalg.inv(root)
            found["coupling"] = (own @ own).numpy()
        if result.dipole is not None:
            found["dipole"] = (turn @ result.dipole).numpy()
        if result.polarizability is not None:
            found["polarizability"] = (turn @ result.polarizability @ turn.T).numpy()
        if result.bec is not None:
            found["born_effective_charges"] = (turn @ result.bec).numpy()
        return found

    def _check_finite(self, energies: np.ndarray, forces: np.ndarray) -> None:
        wild = ""
        for what, values in (("force on", forces.sum(axis=1)), ("energy of", energies)):
            for atom in np.flatnonzero(~np.isfinite(values))[:1]:
                wild = f"the {what} atom {atom} is {values[atom]}"
        if not wild and not np.isfinite(energies.sum()):
            wild = f"the energy of all atoms is {energies.sum()}"
        if wild:
            raise CalculationFailed(
                f"model file {self.model_file}: energy or forces are not finite ({wild}); "
                "are atoms too close, or far from the training data?"
            )

    @staticmethod
    def _dielectric_tensor(epsilon_inf: Any) -> np.ndarray | None:
        if epsilon_inf is None:
            return None
        if isinstance(epsilon_inf, np.ndarray | tuple):
            epsilon_inf = np.asarray(epsilon_inf).tolist()
        try:
            checked_dielectric(epsilon_inf)
        except ValueError as error:
            raise CalculatorSetupError(f"epsilon_inf: {error}, got {epsilon_inf!r}") from None
        return np.asarray(epsilon_inf, dtype=float) * (
            np.eye(3) if isinstance(epsilon_inf, int | float) else 1.0
        )

    def _check_coupling(self) -> None:
        if not (self.metadata.coupling_is_known or self.multichannel_bec):
            raise CalculatorSetupError(
                f"model file {self.model_file} has {self.metadata.charges.channels} charge "
                "channels, and no label settled how they couple to a field: energies do not. Train "
                "with Born effective charges, or take the signs of the file as they are by "
                "multichannel_bec=True"
            )

    def _boundary(self, atoms: Atoms) -> list[bool]:
        pbc = atoms.pbc.tolist()
        if any(pbc) and (pbc[:2] != [True, True] or atoms.cell.rank < 3):
            raise CalculatorSetupError(
                "LES: boundaries must be periodic in all three directions, in the first two (a "
                f"slab), with three lattice vectors, or in none, got pbc {pbc} with "
                f"{atoms.cell.rank} lattice vectors; use a cell with vacuum"
            )
        return pbc

    def _species(self, atoms: Atoms) -> np.ndarray:
        index = {symbol: i for i, symbol in enumerate(self.metadata.network.species)}
        unknown = sorted(set(atoms.get_chemical_symbols()) - set(index))
        if unknown:
            raise CalculatorSetupError(
                f"model file {self.model_file} has species {' '.join(index)}; "
                f"the structure has {' '.join(unknown)}"
            )
        return np.array([index[symbol] for symbol in atoms.get_chemical_symbols()], dtype=np.int64)
