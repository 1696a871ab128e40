"""Predictions of a model beside the reference values of a data set."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from lammps_les.analysis.born_charges import BornFit, fit_born_charges
from lammps_les.analysis.errors import Errors, energy_shifts, errors_of
from lammps_les.analysis.moments import molecular_moments
from lammps_les.analysis.polarizabilities import (
    PolarizabilityFit,
    fit_polarizabilities,
    whole_polarizability,
)
from lammps_les.calculators import LesCalculator
from lammps_les.data.labels import has_label, read_labels
from lammps_les.data.stress_convention import Verdict, convention_of
from lammps_les.keys import (
    BORN_EFFECTIVE_CHARGES,
    CHARGES,
    DIPOLE,
    ENERGY,
    FORCES,
    LABELS,
    POLARIZABILITY,
    QUADRUPOLE,
    STRESS,
    TOTAL_CHARGE,
    Quantity,
)


class Values(NamedTuple):
    """Values of one quantity over a data set.

    Attributes:
        predicted: [M, ...], in the unit of the quantity.
        reference: of the same shape.
        elements: [M] symbols, the element of each entry; empty for values of whole structures.
    """

    predicted: np.ndarray
    reference: np.ndarray
    elements: np.ndarray


class Row(NamedTuple):
    """A line of the table of errors.

    Attributes:
        quantity: with blanks before a part of the one above.
        unit: of the errors.
        errors: of all components.
        void: why none of the numbers says anything, or "".
        no_r2: why R2 says nothing, or "".
    """

    quantity: str
    unit: str
    errors: Errors
    void: str = ""
    no_r2: str = ""

    def quoted(self) -> "Row":
        """Energies in meV/atom, forces in meV/A, stresses in meV/A^3; all else as it is."""
        units = {"eV": "meV/atom", "eV/A": "meV/A", "eV/A^3": "meV/A^3"}
        if self.unit not in units:
            return self
        e = self.errors
        larger = e._replace(rmse=1e3 * e.rmse, mae=1e3 * e.mae)
        return self._replace(unit=units[self.unit], errors=larger)


@dataclass
class Comparison:
    """Predictions and reference values, structure by structure, for what the data set has.

    Attributes:
        structures: without their reference values.
        predicted: of each structure, by name of the quantity.
        reference: likewise; a quantity is absent where the data set has none.
    """

    structures: list[Atoms] = field(default_factory=list)
    predicted: list[dict[str, np.ndarray]] = field(default_factory=list)
    reference: list[dict[str, np.ndarray]] = field(default_factory=list)

    def __add__(self, other: "Comparison") -> "Comparison":
        """The structures of both, these first."""
        return Comparison(
            self.structures + other.structures,
            self.predicted + other.predicted,
            self.reference + other.reference,
        )

    def values(self, quantity: Quantity, shift_energies: bool = False) -> Values | None:
        """Values of a quantity from all structures that carry it; energies per atom.

        Args:
            quantity: one of ``lammps_les.keys.LABELS``.
            shift_energies: add the per-element energies that fit the reference best.
        """
        name, frames = quantity.name, self._frames(quantity)
        if not frames:
            return None
        predicted = [self.predicted[i][name] for i in frames]
        reference = [self.reference[i][name] for i in frames]
        if quantity is ENERGY:
            size = np.array([len(self.structures[i]) for i in frames])
            p, r = np.array(predicted), np.array(reference)
            if shift_energies:
                p = p + self._energy_shift(frames, r - p)
            return Values(p / size, r / size, np.array([]))
        if not quantity.shape.startswith("[N"):
            return Values(np.array(predicted), np.array(reference), np.array([]))
        elements = [self.structures[i].get_chemical_symbols() for i in frames]
        return Values(
            np.concatenate(predicted), np.concatenate(reference), np.concatenate(elements)
        )

    def _frames(self, quantity: Quantity) -> list[int]:
        """Structures with a label."""
        return [i for i, reference in enumerate(self.reference) if quantity.name in reference]

    def _composition(self, frames: list[int]) -> np.ndarray:
        """[frames, elements] number of atoms of each element."""
        symbols = [self.structures[i].get_chemical_symbols() for i in frames]
        elements = sorted({symbol for listed in symbols for symbol in listed})
        return np.array([[listed.count(e) for e in elements] for listed in symbols], float)

    def _energy_shift(self, frames: list[int], difference: np.ndarray) -> np.ndarray:
        composition = self._composition(frames)
        return composition @ energy_shifts(difference, composition)

    def rows(self, shift_energies: bool = False) -> list[Row]:
        """Table of errors: one line a quantity; of Born charges also those of parts."""
        rows = []
        for quantity in LABELS:
            values = self.values(quantity, shift_energies)
            if values is None:
                continue
            title, unit = quantity.name.replace("_", " "), quantity.unit
            if quantity is ENERGY:
                title += " per atom" + (", per-element shift removed" if shift_energies else "")
            found = errors_of(values.predicted, values.reference)
            void = self._void_shift() if quantity is ENERGY and shift_energies else ""
            rows.append(Row(title, unit, found, void, _no_r2(quantity, values)))
            if quantity is BORN_EFFECTIVE_CHARGES:
                rows += _parts_of_born_charges(values, unit)
        return rows

    def _void_shift(self) -> str:
        """Why nothing is left of energies after the shift that fits best, or ""."""
        composition = self._composition(self._frames(ENERGY))
        parameters = int(np.linalg.matrix_rank(composition))
        if len(composition) > parameters:
            return ""
        return (
            f"the shift has as many parameters ({parameters}) as there are structures "
            f"({len(composition)}), and takes every difference away"
        )

    def born_fit(self) -> BornFit | None:
        """What Born charges say of sign, order of indices and scale; None without labels."""
        name, frames = BORN_EFFECTIVE_CHARGES.name, self._frames(BORN_EFFECTIVE_CHARGES)
        if not frames:
            return None
        return fit_born_charges(
            [self.predicted[i][name] for i in frames],
            [self.reference[i][name] for i in frames],
            [self.structures[i].get_chemical_symbols() for i in frames],
        )

    def polarizability_fit(self) -> PolarizabilityFit | None:
        """How polarizabilities fluctuate; None with labels of fewer than two structures."""
        name, frames = POLARIZABILITY.name, self._frames(POLARIZABILITY)
        if len(frames) < 2:
            return None
        return fit_polarizabilities(
            [self.predicted[i][name] for i in frames], [self.reference[i][name] for i in frames]
        )

    def with_other_total_charge(self, total_charge: float | None, tolerance: float = 1e-3) -> int:
        """How many structures have a total charge [e] that is not the one of the model file."""
        labels = [r[TOTAL_CHARGE.name] for r in self.reference if TOTAL_CHARGE.name in r]
        if total_charge is None:
            return 0
        return sum(abs(float(label) - total_charge) > tolerance for label in labels)

    def stress_convention(self) -> Verdict | None:
        """Whether the labels of the stress have the sign and unit of the predictions."""
        values = self.values(STRESS)
        if values is None:
            return None
        having = [STRESS.name in reference for reference in self.reference]
        volumes = [s.get_volume() for s, has in zip(self.structures, having, strict=True) if has]
        return convention_of(values.predicted, values.reference, np.array(volumes))

    def predictions(self) -> Iterator[Atoms]:
        """Structures with the predictions as results, for writing as extended XYZ.

        Born effective charges are the array ``BEC``, 9 columns, P component first; quadrupole,
        total charge and polarizability stand beside the structure, under their names.
        """
        for atoms, predicted in zip(self.structures, self.predicted, strict=True):
            labeled = atoms.copy()
            results = dict(predicted)
            tensor = results.pop(BORN_EFFECTIVE_CHARGES.name, None)
            if tensor is not None:
                labeled.arrays["BEC"] = tensor.reshape(-1, 9)
            for name in (QUADRUPOLE.name, TOTAL_CHARGE.name, POLARIZABILITY.name):
                if name in results:
                    labeled.info[name] = results.pop(name)
            labeled.calc = SinglePointCalculator(labeled, **results)
            yield labeled


def _no_r2(quantity: Quantity, values: Values) -> str:
    """Why R2 of a quantity says nothing, or ""."""
    if not quantity.shape.startswith("[N") and len(values.reference) == 1:
        return "one structure only"
    return "" if np.ptp(values.reference) > 0.0 else "all labels are equal"


def _parts_of_born_charges(values: Values, unit: str) -> list[Row]:
    """Errors of diagonal and off-diagonal components, of all atoms and of each element."""
    diagonal = np.eye(3, dtype=bool)
    rows = []
    for element in ("", *sorted(set(values.elements))):
        mine = values.elements == element if element else np.full(len(values.elements), True)
        predicted, reference = values.predicted[mine], values.reference[mine]
        if element:
            rows.append(Row(f"  {element}", unit, errors_of(predicted, reference)))
        for part, chosen in (("diagonal", diagonal), ("off-diagonal", ~diagonal)):
            found = errors_of(predicted[:, chosen], reference[:, chosen])
            rows.append(Row(f"  {element} {part}" if element else f"  {part}", unit, found))
    return rows


def compare(
    calculator: LesCalculator,
    structures: Iterable[Atoms],
    keys: Mapping[str, str] | None = None,
    r_first: bool = False,
    polarizability_unit: str = POLARIZABILITY.unit,
) -> Comparison:
    """Evaluate a model on labeled structures.

    Dipole and quadrupole are those of the latents in open structures, about the center of mass
    (``molecular_moments``), the polarizability that of ``whole_polarizability``; the total charge
    of the structure is its label, else that of the model file, else 0.

    Args:
        calculator: without field.
        structures: with labels as ASE reads them.
        keys: names of labels in the file by name of the quantity; else its aliases are tried.
        r_first: the file gives Born effective charges as [atom, r component, P component].
        polarizability_unit: of the file, ``e A^2/V`` or ``A^3``.

    Raises:
        ValueError: a label that was asked for by name is in no structure; one has a wrong size or
            is not finite (the message counts the structures from 0).
    """
    keys = keys or {}
    found: set[str] = set()
    comparison = Comparison()
    for n, atoms in enumerate(structures):
        found |= {name for name, key in keys.items() if has_label(atoms, key)}
        try:
            reference = read_labels(atoms, keys, r_first, polarizability_unit)
        except ValueError as error:
            raise ValueError(f"structure {n} of those compared: {error}") from None
        wanted = [ENERGY.name, FORCES.name, CHARGES.name]
        if BORN_EFFECTIVE_CHARGES.name in reference:
            wanted.append(BORN_EFFECTIVE_CHARGES.name)
        if atoms.pbc.all():
            wanted.append(STRESS.name)
        bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        calculator.calculate(bare, wanted)
        comparison.structures.append(bare)
        predicted = {name: calculator.results[name] for name in wanted}
        if calculator.metadata.charges.channels > 0:
            predicted |= _moments(bare, reference, calculator)
        if POLARIZABILITY.name in calculator.results:
            volume = bare.get_volume() if bare.pbc.all() else None
            of_alpha, coupling = (calculator.results[n] for n in (POLARIZABILITY.name, "coupling"))
            predicted[POLARIZABILITY.name] = whole_polarizability(of_alpha, coupling, volume)
        comparison.predicted.append(predicted)
        comparison.reference.append({n: v for n, v in reference.items() if n in predicted})
    for name, key in keys.items():
        if name not in found:
            raise ValueError(f"no structure has a label '{key}' for {name}")
    return comparison


def _moments(
    atoms: Atoms,
    reference: Mapping[str, np.ndarray],
    calculator: LesCalculator,
) -> dict[str, np.ndarray]:
    """Total charge, and of open structures dipole and quadrupole."""
    results = calculator.results
    charges = results[CHARGES.name]
    found = {TOTAL_CHARGE.name: charges.sum()}
    if not atoms.pbc.any():
        default = calculator.metadata.charge_state or 0.0
        dipoles = [results[name] for name in ("dipoles", "induced_dipoles") if name in results]
        moments = molecular_moments(
            atoms,
            charges + results.get("induced_charges", 0.0),
            float(reference.get(TOTAL_CHARGE.name, default)),
            sum(dipoles) if dipoles else None,
            results.get("quadrupoles"),
        )
        found |= {DIPOLE.name: moments.dipole, QUADRUPOLE.name: moments.quadrupole}
    return found
