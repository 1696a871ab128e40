"""Model files evaluated on whole systems in one process, by the evaluator that LAMMPS uses."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ase.data import atomic_numbers
from torch import Tensor

from lammps_les import _core  # needs torch loaded before it
from lammps_les.data.geometry import check_distances
from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import coupling_charges, unfold
from lammps_les.electrostatics.polarization import without_mean
from lammps_les.model_file import ModelFileError, metadata_of_text


class Evaluation(NamedTuple):
    """Results for N atoms, float64, on the CPU.

    Attributes:
        energies: [N], eV, atomic energies, short-range energies and long-range shares
            1/2 q phi; their sum is the potential energy.
        forces: [N, 3], eV/A.
        virial: [3, 3], eV, -dE/d(strain); zero in an open system.
        charges: [N], e, sum over channels of charge_unit charge_sign q; without sqrt(epsilon_inf),
            mean not removed.
        latents: what the model has of each atom besides, summed over channels, with their signs,
            without the root of epsilon: "dipole" [N, 3] e A, "quadrupole" [N, 3, 3] e A^2, "alpha"
            [N, 3, 3] e A^2/V, and what is induced, "dq" [N] e and "du" [N, 3] e A.
        dipole: [3], e A, root of epsilon times the sum of (q~ + dq) r + u + du, positions as they
            are; in a periodic system it has a meaning for changes only. None for no charges.
        polarizability: [3, 3], e A^2/V, root of epsilon included; None without alpha.
        root: [3, 3], that root; None for no charges.
        bec: [N, 3, 3], Born effective charges in e, indices [atom, P component, r component]; None
            where not asked for.
        field_forces: [N, 3], eV/A, that a field adds; None where not asked for.
    """

    energies: Tensor
    forces: Tensor
    virial: Tensor
    charges: Tensor
    latents: dict[str, Tensor]
    dipole: Tensor | None
    polarizability: Tensor | None
    root: Tensor | None
    bec: Tensor | None
    field_forces: Tensor | None


class SystemEvaluator:
    """A model file, ready to be evaluated.

    Args:
        path: of the file.
        bec: form of the Born effective charges, ``local`` or ``phase``; default: that of the file.
        epsilon_inf: [3, 3], replaces that of the file.
        device: ``cpu``, ``cuda``, ``cuda:N``.

    Raises:
        ModelFileError: the file cannot be read, is damaged or not understood.
        ValueError: another argument is wrong, or there is no such device.
    """

    def __init__(
        self,
        path: str | Path,
        bec: str | None = None,
        epsilon_inf: np.ndarray | None = None,
        device: str = "cpu",
        network: str = "auto",
    ) -> None:
        self.device = device
        tensor = None if epsilon_inf is None else torch.from_numpy(epsilon_inf)
        try:
            self._core = _core.Evaluator(
                str(path), device=device, bec=bec, epsilon_inf=tensor, network=network
            )
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelFileError(
                f"model file {path} cannot be used on device {device!r}: {reason}"
            ) from None
        self.metadata = metadata_of_text(self._core.metadata, path)
        species = self.metadata.network.species
        energies = [self.metadata.atomic_energies[s] for s in species]
        self._atomic_energies = torch.tensor(energies, dtype=torch.float64)
        self._numbers = np.array([atomic_numbers.get(symbol, 0) for symbol in species])
        self._sign = torch.tensor(self.metadata.charges.sign, dtype=torch.float64)

    def evaluate(
        self,
        positions: np.ndarray,
        species: np.ndarray,
        cell: np.ndarray,
        pbc: Sequence[bool],
        want_bec: bool = False,
        reference_cell: np.ndarray | None = None,
        field: np.ndarray | None = None,
    ) -> Evaluation:
        """Energies, forces, virial, charges, and on demand Born effective charges.

        Args:
            positions: [N, 3] in A.
            species: [N], indices into the species of the file.
            cell: [3, 3], rows are lattice vectors [A].
            pbc: along each lattice vector: all, none, or the first two (a slab, to which the third
                vector is normal; the sum is that of a cell three times as high, less what is not
                the slab's: docs/pair_les.md).
            want_bec: whether Born effective charges are wanted.
            reference_cell: [3, 3], from which wave vectors are chosen; default: ``cell``.
            field: [3], V/A, in which ``field_forces`` are wanted.

        Raises:
            ValueError: a size or a distance that cannot be meant (``data.geometry``), or a slab
                that is higher than its cell.
            RuntimeError: the network raised, or broke its contract.
        """
        network = self.metadata.network
        periodic = bool(pbc[0])
        if periodic and not pbc[2]:
            _check_height(positions, cell)
        edge_index, shifts = neighbor_list(positions, cell, pbc, network.cutoff)
        r = torch.as_tensor(positions, dtype=torch.float64)
        lattice = torch.as_tensor(cell, dtype=torch.float64)
        kinds = torch.as_tensor(species, dtype=torch.int64)
        n = len(r)
        vectors = r[edge_index[1]] - r[edge_index[0]] + shifts @ lattice
        check_distances(self._numbers[species], edge_index, vectors)
        owner = torch.arange(n)
        if network.layers > 1 and network.pieces == 1:  # it needs the edges of ghosts
            graph = unfold(edge_index, shifts, n, network.layers)
            owner, edge_index = graph.owner, graph.edge_index
            nodes = r[owner] + graph.shifts.double() @ lattice
            vectors = nodes[edge_index[1]] - nodes[edge_index[0]]
        else:
            nodes = r
        device = self.device
        result = self._core.evaluate(
            nodes.to(device),
            n,
            kinds[owner].to(device),
            vectors.to(device),
            edge_index.to(device),
            lattice if periodic else None,
            slab=periodic and not pbc[2],
            reference_cell=None if reference_cell is None else torch.from_numpy(reference_cell),
            bec=want_bec,
            field=None if field is None else torch.as_tensor(field, dtype=torch.float64),
        )

        def to_owners(rows: Tensor) -> Tensor:
            return rows.new_zeros([n, *rows.shape[1:]]).index_add(0, owner, rows)

        charges = coupling_charges(
            result["charges"].cpu().double(), self.metadata.charges.unit, self._sign
        )
        latents = _latents_of(result["atoms"])
        dipole: Tensor | None = None
        polarizability: Tensor | None = None
        if "root" in result:
            moving = charges + latents.get("dq", torch.zeros_like(charges))
            moving = without_mean(moving, self.metadata.response.remove_mean)
            dipole = moving @ r
            for name in ("dipole", "du"):
                if name in latents:
                    dipole = dipole + latents[name].sum(0)
            dipole = result["root"] @ dipole
        if "alpha" in latents:
            polarizability = result["root"] @ latents["alpha"].sum(0) @ result["root"]
        return Evaluation(
            energies=result["energies"].sum(1) + self._atomic_energies[kinds],
            forces=to_owners(result["forces"]),
            virial=result["virial"] if periodic else torch.zeros((3, 3), dtype=torch.float64),
            charges=charges,
            latents=latents,
            dipole=dipole,
            polarizability=polarizability,
            root=result.get("root"),
            bec=to_owners(result["bec"]) if want_bec else None,
            field_forces=None if field is None else to_owners(result["field_forces"]),
        )


def _latents_of(atoms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Sums over channels of what the evaluator gives, tensors in full."""
    full = torch.tensor([0, 3, 4, 3, 1, 5, 4, 5, 2])  # of xx yy zz xy xz yz
    found: dict[str, Tensor] = {}
    for name in ("dipole", "quadrupole", "alpha", "dq", "du"):
        if name in atoms:
            total = atoms[name].cpu().sum(1)
            found[name] = total[:, full].view(-1, 3, 3) if total.size(1) == 6 else total
    if "dq" in found:
        found["dq"] = found["dq"][:, 0]
    return found


def _check_height(positions: np.ndarray, cell: np.ndarray) -> None:
    height = float(np.linalg.norm(cell[2]))
    extent = float(np.ptp(positions @ cell[2])) / height if len(positions) else 0.0
    if extent > height:
        raise ValueError(
            f"the atoms of a slab reach over {extent:.4g} A along the third lattice vector, which "
            f"is {height:.4g} A long; expected a cell that holds them"
        )
