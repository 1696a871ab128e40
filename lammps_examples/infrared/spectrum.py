"""Infrared spectrum from the current that in.infrared has written: table of bands, infrared.png.

Usage: python spectrum.py [current.dat]
"""

import sys

import matplotlib as mpl
import numpy as np

from lammps_les.analysis import spectra

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

LONGEST = 0.5  # ps, of the correlation function; lines get 1/LONGEST = 67 1/cm wide
BANDS = {  # 1/cm
    "H bond": (100, 280),
    "libration": (300, 1200),
    "bend": (1400, 1900),
    "stretch": (2800, 4200),
}


def main() -> None:
    """Average, transform, print, draw."""
    data = np.loadtxt(sys.argv[1] if len(sys.argv) > 1 else "current.dat")
    time, current = data[:, 1], data[:, 4:]
    temperature, volume = data[:, 2].mean(), data[:, 3].mean()
    step = (time[-1] - time[0]) / (len(time) - 1)
    lags = min(round(LONGEST / step), len(time) // 2)
    correlation = spectra.autocorrelation(current, lags) * spectra.hann(lags)
    wavenumber = np.arange(10.0, 4500.0, 5.0)
    sigma = spectra.conductivity(
        correlation, step, volume, temperature, wavenumber / spectra.WAVENUMBER
    )
    absorption = spectra.absorption(sigma)
    print(f"{time[-1] - time[0]:.3f} ps every {1e3 * step:g} fs, mean {temperature:.1f} K")
    print("band         peak [1/cm]   center [1/cm]   n alpha at peak [1/cm]   integral [1e6/cm^2]")
    for name, (low, high) in BANDS.items():
        band = (wavenumber >= low) & (wavenumber < high)
        k, height = wavenumber[band], absorption[band]
        center, area = (k @ height) / height.sum(), 5.0 * height.sum() / 1e6
        peak = height.argmax()
        print(f"{name:10}{k[peak]:14.0f}{center:16.0f}{height[peak]:25.0f}{area:22.2f}")

    figure, axes = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
    axes.plot(wavenumber, absorption, color="C3", linewidth=1.2)
    axes.set_xlabel("wavenumber [1/cm]")
    axes.set_ylabel(r"$n(\omega)\,\alpha(\omega)$ [1/cm]")
    axes.set_xlim(0.0, 4500.0)
    axes.set_ylim(bottom=0.0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig("infrared.png", dpi=120)
    print("infrared.png")


if __name__ == "__main__":
    main()
