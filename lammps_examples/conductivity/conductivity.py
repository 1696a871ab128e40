"""Conductivity from what in.conductivity has written: tables, conductivity.png.

Usage: python conductivity.py [series_0.dat [series_0.05.dat ...]], without and with an AC field
"""

import sys

import matplotlib as mpl
import numpy as np

from lammps_les.analysis import spectra

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def main() -> None:
    """Static conductivity by two ways, spectrum, and the response to the AC field."""
    names = sys.argv[1:] or ["series_0.dat", "series_0.05.dat"]
    rows = np.loadtxt(names[0])
    step, kelvin, volume = rows[1, 1] - rows[0, 1], rows[:, 2].mean(), rows[0, 3]
    polarization, current = rows[:, 7:10], rows[:, 10:13]
    lags = min(round(4.0 / step), len(rows) // 2)  # 4 ps
    correlation = spectra.autocorrelation(current, lags)
    integral = spectra.green_kubo(correlation, step, volume, kelvin)
    einstein = spectra.einstein(polarization, lags - 1, step, volume, kelvin)
    print(f"no field, {rows[-1, 1]:g} ps, {kelvin:.1f} K: static conductivity [S/m]")
    print("up to t [ps]   Green-Kubo   Einstein")
    for m in np.linspace(lags / 8, lags - 1, 8).astype(int):
        print(f"{m * step:12.3f}{integral[m]:13.1f}{einstein[m - 1]:11.1f}")

    short = lags // 8 + 1  # 0.5 ps: resolves 2 THz
    windowed, terahertz = correlation[:short] * spectra.hann(short), np.arange(0.5, 40.0, 0.5)
    spectrum = spectra.conductivity(windowed, step, volume, kelvin, terahertz)
    figure, axes = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
    axes.plot(terahertz, spectrum, color="C3", label="fluctuations, no field")
    for name in names[1:]:
        rows = np.loadtxt(name)[:-1]
        frequency = rows[0, 4]
        period = round(1.0 / (frequency * step))
        rows = rows[len(rows) % period :]  # whole periods
        time, field, work, along = rows[:, 1], rows[:, 5], -rows[:, 6], rows[:, 12]
        sigma = spectra.driven_conductivity(field, along, time, frequency, volume)
        power = (work[-1] - work[0]) / (time[-1] - time[0]) / (volume * (field**2).mean())
        power *= spectra.SIEMENS_PER_METER
        near = np.interp(frequency, terahertz, spectrum)
        print(f"\nfield at {frequency:g} THz ({name}), {rows[:, 2].mean():.1f} K: Re sigma [S/m]")
        print(f"in phase current {sigma.real:.0f}, work {power:.0f}, fluctuations {near:.0f}")
        axes.plot(frequency, sigma.real, "o", color="C0", label=f"response, {name}")
    axes.set(xlabel="frequency [THz]", ylabel=r"Re $\sigma$ [S/m]")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig("conductivity.png", dpi=120)
    print("conductivity.png")


if __name__ == "__main__":
    main()
