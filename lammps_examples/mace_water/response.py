"""What in.mace_water has written: conserved energy, polarization, Born effective charges.

Prints a table, draws mace_water.png. Usage: python response.py
"""

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

N_ATOMS = 192


def main() -> None:
    """Read, print, draw."""
    time, temperature, conserved, work, polarization = np.loadtxt("series.dat")[:, 1:].T
    of_charges, oxygen, hydrogen = np.loadtxt("bec.dat")[:, 1:].T
    energy = 1e3 * (conserved - conserved[0]) / N_ATOMS
    drift = np.polyfit(time, energy, 1)[0] * (time[-1] - time[0])
    print(f"length                     {time[-1]:.3f} ps")
    print(f"mean temperature           {temperature.mean():.1f} K")
    print(f"work done by the field     {-1e3 * work[-1] / N_ATOMS:.2f} meV/atom")
    print(f"drift of conserved energy  {drift:.4f} meV/atom")
    print(f"polarization along z       {polarization[-1]:.2f} e A")
    print(f"mean Z_zz of O             {oxygen.mean():.3f} e")
    print(f"mean Z_zz of H             {hydrogen.mean():.3f} e")
    figure, panels = plt.subplots(3, 1, sharex=True, figsize=(5.0, 6.5), layout="constrained")
    panels[0].plot(time, energy)
    panels[0].set_ylabel("conserved energy,\nchange [meV/atom]")
    panels[1].plot(time, polarization)
    panels[1].set_ylabel(r"polarization $P_z$ [e$\,$Å]")
    panels[2].plot(of_charges, oxygen, label="O")
    panels[2].plot(of_charges, hydrogen, label="H")
    panels[2].set(ylabel=r"mean $Z_{zz}$ [e]", xlabel="time [ps]")
    panels[2].legend()
    figure.savefig("mace_water.png", dpi=150)
    print("mace_water.png")


if __name__ == "__main__":
    main()
