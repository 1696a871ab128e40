"""Polarization against field from what in.hysteresis has written: table by period, loop.png.

Usage: python loop.py [loop.dat]
"""

import sys

import matplotlib as mpl
import numpy as np
from ase import units

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

PER_AREA = units._e * 1e20  # C/m^2 in one e/A^2
EPSILON_0 = units._eps0 * 1e10  # C/m^2 in one V/A


def measure(name: str, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Print what one period says; return field [V/A] and centered polarization [C/m^2]."""
    field, polarization, energy = part[:, 5], part[:, 6] - part[:, 6].mean(), part[:, 7]
    half, near = len(part) // 2, max(1, len(part) // 32)  # E = 0 on the way down, and at the end
    falling = polarization[half - near : half + near].mean()
    remanence = 0.5 * (falling - polarization[-near:].mean())
    area = 0.5 * ((field[1:] + field[:-1]) * np.diff(polarization)).sum() * 1e4  # MJ/m^3
    work = (energy[0] - energy[-1]) / part[0, 3] * PER_AREA * 1e4
    wave = np.exp(2j * np.pi * part[:, 1] / part[0, 4])
    chi = (polarization @ wave) / (field @ wave) / EPSILON_0
    values = f"{part[:, 2].mean():10.1f}{remanence:16.3f}{polarization.max():16.3f}"
    print(f"{name:>4}{values}{area:15.1f}{work:15.1f}   {chi.real:.1f} + {chi.imag:.1f}i")
    return field, polarization


def main() -> None:
    """Split into periods, center, measure, draw."""
    rows = np.loadtxt(sys.argv[1] if len(sys.argv) > 1 else "loop.dat")
    length = min(round(rows[0, 4] / (rows[1, 1] - rows[0, 1])), len(rows))
    periods = rows[: len(rows) // length * length].reshape(-1, length, rows.shape[1])
    print("remanence: half the opening at E = 0; chi: P/(epsilon_0 E) of the first harmonics")
    print("period  mean T [K]  remanence [C/m^2]  max P [C/m^2]  area [MJ/m^3]  work [MJ/m^3]  chi")
    figure, axes = plt.subplots(figsize=(5.0, 4.0), layout="constrained")
    for n, part in enumerate(periods, 1):
        field, polarization = measure(str(n), part)
        axes.plot(10.0 * field, polarization, linewidth=0.8, alpha=0.6, label=f"period {n}")
    if len(periods) > 2:
        mean = periods[1:].mean(axis=0)
        mean[:, 1] = periods[0, :, 1]  # times within the period
        field, polarization = measure(f"2-{n}", mean)
        axes.plot(10.0 * field, polarization, color="black", label=f"mean of 2-{n}")
    axes.set(xlabel="field [V/nm]", ylabel="polarization less its mean [C/m²]")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig("loop.png", dpi=120)
    print("loop.png")


if __name__ == "__main__":
    main()
