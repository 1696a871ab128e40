"""Static and high-frequency permittivity.

In a cell with the boundaries of a conductor, as the long-range sum without k = 0 has them (M.
Neumann, Mol. Phys. 50, 841 (1983), doi:10.1080/00268978300102721), M the dipole of the cell:

    epsilon = epsilon_inf + (<M^2> - <M>^2)/(3 epsilon_0 V kB T)      fluctuations
    epsilon = epsilon_inf + d<M>/dE/(epsilon_0 V)                     runs in fields E
    epsilon_inf = epsilon_e + 4 pi <tr alpha>/(3 V)                   alpha in A^3

E is the macroscopic field. epsilon_e is what the electrons have that alpha does not describe
(``epsilon_e`` of the model file; 1 where alpha is all).
"""

from collections.abc import Sequence

import numpy as np
from ase import units

from lammps_les.analysis.statistics import (
    Estimate,
    in_blocks,
    mean_of,
    over_blocks,
    statistical_inefficiency,
)

VOLT_PER_E_ANGSTROM = units._e * 1e10 / units._eps0
"""180.95 V A/e, which is 1/epsilon_0."""


def fluctuation_permittivity(
    polarization: np.ndarray,
    volume: float,
    temperature: float,
    epsilon_inf: float = 1.0,
    blocks: int = 12,
) -> Estimate:
    """Static permittivity from the fluctuations of the dipole of the cell.

    The error is the larger of two, that of blocks and that of the statistical inefficiency: with
    slow dipoles either may be too small.

    Args:
        polarization: [samples, 3], e A, itinerant; its origin does not matter.
        volume: A^3.
        temperature: K.
        epsilon_inf: what electrons add.
        blocks: parts of the run.
    """
    values, errors, parts = [], [], []
    for series in polarization.T:
        squares = (series - series.mean()) ** 2
        square = mean_of(squares)
        parts.append(in_blocks(squares, blocks).mean(axis=1))
        # the mean of the run was taken off, which varies by variance g/N
        lost = min(0.5, statistical_inefficiency(series) / len(series))
        values.append(square.value / (1.0 - lost))
        errors.append(square.error / (1.0 - lost))
    scale = VOLT_PER_E_ANGSTROM / (volume * units.kB * temperature)
    error = float(np.sqrt(np.square(errors).sum())) / len(values)
    error = max(error, float(over_blocks(np.concatenate(parts))[1]))
    return Estimate(epsilon_inf + scale * float(np.mean(values)), scale * error)


def field_permittivity(
    polarizations: Sequence[np.ndarray],
    fields: Sequence[np.ndarray],
    volume: float,
    epsilon_inf: float = 1.0,
) -> Estimate:
    """Static permittivity from runs in different fields, by weighted least squares.

    Args:
        polarizations: [samples, 3] of each run, e A, all counted from one structure, in the steady
            state.
        fields: [3] of each run, V/A, along one axis; one of them may be zero.
        volume: A^3.
        epsilon_inf: what electrons add.

    Raises:
        ValueError: fields are not along one axis, or all the same.
    """
    table = np.array(fields, float)
    axis = table[np.argmax((table**2).sum(axis=1))]
    axis = axis / max(float(np.linalg.norm(axis)), 1e-300)
    along = table @ axis
    if np.abs(table - np.outer(along, axis)).max() > 1e-6 * max(np.abs(along).max(), 1e-300):
        raise ValueError("expected fields along one axis, of either sign")
    if np.ptp(along) == 0.0:
        raise ValueError(
            "expected runs in different fields: add one without a field, or in the opposite one, "
            "that begins at the same structure"
        )
    means = [mean_of(one @ axis) for one in polarizations]
    values = np.array([m.value for m in means])
    weights = 1.0 / np.maximum([m.error for m in means], 1e-12 * (1.0 + np.abs(values))) ** 2
    centered = along - weights @ along / weights.sum()
    information = float(weights @ centered**2)
    scale = VOLT_PER_E_ANGSTROM / volume
    slope = float(weights * centered @ values) / information
    return Estimate(epsilon_inf + scale * slope, scale / float(np.sqrt(information)))


def high_frequency_permittivity(
    polarizability: np.ndarray, volume: float, epsilon_e: float = 1.0
) -> Estimate:
    """epsilon_inf, mean of the three axes.

    Args:
        polarizability: [samples, 6] of the cell, A^3, xx yy zz xy xz yz.
        volume: A^3.
        epsilon_e: of the model file.
    """
    mean = mean_of(polarizability[:, :3].mean(axis=1))
    scale = 4.0 * np.pi / volume
    return Estimate(epsilon_e + scale * mean.value, scale * mean.error)
