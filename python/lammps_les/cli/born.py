"""``lammps-les born``."""

from pathlib import Path
from typing import Annotated

import typer

from lammps_les.cli.arguments import check_outputs, dielectric
from lammps_les.cli.console import BecForm, note, output, short_errors


@short_errors
def born(
    model: Annotated[Path, typer.Argument(help="Model file (.pt).")],
    structure: Annotated[
        Path,
        typer.Argument(help="Relaxed unit cell as phonopy gets it; what ASE reads."),
    ],
    file: Annotated[Path, typer.Option("-o", "--output", help="File to write.")] = Path("BORN"),
    bec: Annotated[
        BecForm | None,
        typer.Option(help="Form of the Born effective charges (default: that of the model file)."),
    ] = None,
    epsilon_inf: Annotated[
        str | None,
        typer.Option(
            help="Replaces the value of the model file; or the nine numbers xx,xy,xz,yx,... of a "
            "tensor."
        ),
    ] = None,
    keep_sum: Annotated[
        bool, typer.Option("--keep-sum", help="Do not take off the mean of the charges.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Write phonopy's BORN file: epsilon_inf and Born effective charges, for LO-TO splitting.

    Of atoms that the symmetry of the crystal makes alike only the first is written, as phonopy
    reads it. Axes are those of the structure file.

    Example: [bold]lammps-les born nacl.pt POSCAR -o BORN[/]
    """
    import numpy as np

    from lammps_les.analysis.born_file import born_file
    from lammps_les.calculators import LesCalculator
    from lammps_les.data.structures import read_structures
    from lammps_les.files import write_atomically

    check_outputs(file)
    calculator = LesCalculator(
        model,
        bec=bec.value if bec else None,
        epsilon_inf=dielectric(epsilon_inf),
        device=device,
    )
    structures = read_structures(structure)
    if len(structures) != 1:
        raise ValueError(f"{structure} has {len(structures)} structures; expected one unit cell")
    atoms = structures[0]
    charges = calculator.get_property("born_effective_charges", atoms)
    infinite = np.asarray(calculator.epsilon_inf, float)
    text = born_file(atoms, charges, infinite, keep_sum)
    if epsilon_inf is None and infinite.ndim == 0 and infinite == 1.0:
        note(f"{model} says epsilon_inf 1, that of vacuum; give --epsilon-inf of the crystal")
    net = float(np.abs(charges.sum(axis=0)).max())
    what = "kept" if keep_sum else "taken off evenly"
    note(f"largest component of the sum of the charges: {net:.3g} e, {what}")
    forces = float(np.abs(calculator.get_property("forces", atoms)).max())
    if forces > 0.05:
        note(f"warning: forces reach {forces:.2g} eV/A; relax the structure with the model first")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, text.encode())
    said = f"wrote {file}: {len(text.splitlines()) - 2} of {len(atoms)} atoms"
    output.print(said, highlight=False, soft_wrap=True, markup=False)
