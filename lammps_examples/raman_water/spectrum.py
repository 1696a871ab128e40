"""Raman spectra of the polarizabilities that in.raman has written: table of bands, raman.png.

Usage: python spectrum.py [alpha.dat [another.dat ...]]
"""

import sys

import matplotlib as mpl
import numpy as np

from lammps_les.analysis.raman import raman
from lammps_les.analysis.runs import Given, load_run

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

WIDTH = 30.0  # 1/cm, standard deviation of the Gaussian that the spectra are filtered with
SHORTEST = 2.0  # ps, of a part of the run: the scatter of the parts is the error
BANDS = {"libration": (300, 1200), "bend": (1400, 1900), "stretch": (2800, 4200)}  # 1/cm


def main() -> None:
    """Transform, print, draw."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(6.0, 5.0), sharex=True)
    for number, path in enumerate(sys.argv[1:] or ["alpha.dat"]):
        run = load_run(path, Given(skip=0.0))
        blocks = max(2, int(run.length / SHORTEST))
        width = max(WIDTH, 120.0 / run.length)  # of runs for a test
        k = np.arange(10.0, 4500.0, 5.0)
        alpha = run.take("c_alpha[1*6]", 6)
        found = raman(alpha, run.step, run.temperature, k, 532.0, width, blocks)
        print(f"{path}: {run.length:.3f} ps, mean {run.temperature:.1f} K, ", end="")
        print(f"mean polarizability {alpha[:, :3].mean():.2f} A^3")
        print(
            "band       highest: isotropic   anisotropic [1/cm]   VV centroid [1/cm]   ratio VH/VV"
        )
        for name, (low, high) in BANDS.items():
            band = (k >= low) & (k <= high)
            highest = [k[band][s[band].argmax()] for s in found.spectra[:2]]
            centroid, _, ratio = found.band(low, high)
            print(f"{name:10}{highest[0]:20.0f}{highest[1]:21.0f}   {centroid!s:>18}   {ratio}")

        scale = 1.0 / found.spectra[2][k > 2800.0].max()
        for row, label, color in ((0, "isotropic", "C0"), (1, "anisotropic (VH)", "C3")):
            style = {"color": color, "linestyle": ("-", "--")[number % 2], "linewidth": 1.1}
            upper.plot(k, scale * found.spectra[row], label=f"{label}, {run.name}", **style)
        lower.plot(k, found.depolarization()[0], color="C2", linestyle=("-", "--")[number % 2])
    upper.set(xlim=(0.0, 4500.0), ylim=(0.0, 1.0), ylabel="cross section")
    upper.legend(frameon=False, fontsize="small")
    lower.axhline(0.75, color="0.7", linewidth=0.8)  # no isotropic part at all
    lower.set(ylim=(0.0, 0.8), xlabel="Stokes shift [1/cm]", ylabel="ratio VH/VV")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig("raman.png", dpi=120)
    print("raman.png")


if __name__ == "__main__":
    main()
