"""``lammps-les evaluate``."""

import enum
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from lammps_les.cli.arguments import check_outputs, dielectric
from lammps_les.cli.console import BecForm, errors, note, output, renamed, short_errors
from lammps_les.files import write_atomically
from lammps_les.keys import (
    BORN_EFFECTIVE_CHARGES,
    DIELECTRIC,
    DIPOLE,
    ENERGY,
    FORCES,
    POLARIZABILITY,
    QUADRUPOLE,
    STRESS,
    TOTAL_CHARGE,
    VIRIAL,
)

if TYPE_CHECKING:
    from lammps_les.analysis.born_charges import BornFit
    from lammps_les.analysis.comparison import Row
    from lammps_les.analysis.polarizabilities import PolarizabilityFit
    from lammps_les.model_file import Dielectric


class BecOrder(str, enum.Enum):
    """Which index of a Born effective charge stands first in a file."""

    p_first = "P-first"
    r_first = "r-first"


class PolarizabilityUnit(str, enum.Enum):
    """Unit of polarizabilities in a file."""

    volts = "e A^2/V"
    volume = "A^3"


class EpsilonE(str, enum.Enum):
    """What dielectric constant the latents of a model with alpha couple to fields with."""

    constant = "constant"
    frame = "frame"


def _key_option(aliases: tuple[str, ...]) -> typer.models.OptionInfo:
    return typer.Option(help=f"Name of the label in the file (default: {' or '.join(aliases)}).")


@short_errors
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file (.pt).")],
    data: Annotated[Path, typer.Argument(help="Labeled structures, any format that ASE reads.")],
    prefix: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Prefix of the files written (default: DATA-MODEL, in place)."
        ),
    ] = None,
    energy_key: Annotated[str | None, _key_option(ENERGY.aliases)] = None,
    forces_key: Annotated[str | None, _key_option(FORCES.aliases)] = None,
    stress_key: Annotated[str | None, _key_option(STRESS.aliases)] = None,
    virial_key: Annotated[str | None, _key_option(VIRIAL.aliases)] = None,
    bec_key: Annotated[str | None, _key_option(BORN_EFFECTIVE_CHARGES.aliases)] = None,
    dipole_key: Annotated[str | None, _key_option(DIPOLE.aliases)] = None,
    quadrupole_key: Annotated[str | None, _key_option(QUADRUPOLE.aliases)] = None,
    total_charge_key: Annotated[str | None, _key_option(TOTAL_CHARGE.aliases)] = None,
    polarizability_key: Annotated[str | None, _key_option(POLARIZABILITY.aliases)] = None,
    dielectric_key: Annotated[str | None, _key_option(DIELECTRIC.aliases)] = None,
    polarizability_unit: Annotated[
        PolarizabilityUnit, typer.Option(help="Unit of polarizabilities in the file.")
    ] = PolarizabilityUnit.volts,
    bec_order: Annotated[
        BecOrder, typer.Option(help="Which index of a Born effective charge the file has first.")
    ] = BecOrder.p_first,
    bec: Annotated[
        BecForm | None,
        typer.Option(
            help="Form of the predicted Born effective charges (default: that of the model file)."
        ),
    ] = None,
    epsilon_inf: Annotated[
        str | None,
        typer.Option(
            help="Replaces the value of the model file; or the nine numbers xx,xy,xz,yx,... of a "
            "tensor."
        ),
    ] = None,
    epsilon_e: Annotated[
        EpsilonE,
        typer.Option(
            help="Of a model with alpha: epsilon_inf / (1 + chi) with the mean chi of its training "
            "structures, or with that of each structure."
        ),
    ] = EpsilonE.constant,
    shift_energies: Annotated[
        bool,
        typer.Option(
            "--shift-energies", help="Remove the per-element energies that fit best, first."
        ),
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="Take every n-th structure only.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    born: Annotated[str | None, renamed("--born", "--bec")] = None,
) -> None:
    """Compare a model with reference data: table of errors, parity plot, predictions.

    Of Born effective charges also what they say of sign, order of indices, scale and sum rule, of
    polarizabilities how they fluctuate. Writes PREFIX-parity.png and PREFIX-predictions.xyz. Of
    structures in open boundaries also dipole and traceless quadrupole of the latents, about the
    center of mass.

    Example: [bold]lammps-les evaluate water.pt water.xyz --shift-energies[/]
    """
    import ase.io

    from lammps_les.analysis.comparison import compare
    from lammps_les.analysis.parity import plot_parity
    from lammps_les.calculators import LesCalculator
    from lammps_les.data.inventory import described, inventory, passed_over
    from lammps_les.data.structures import read_structures

    keys = {
        ENERGY.name: energy_key,
        FORCES.name: forces_key,
        STRESS.name: stress_key,
        VIRIAL.name: virial_key,
        BORN_EFFECTIVE_CHARGES.name: bec_key,
        DIPOLE.name: dipole_key,
        QUADRUPOLE.name: quadrupole_key,
        TOTAL_CHARGE.name: total_charge_key,
        POLARIZABILITY.name: polarizability_key,
        DIELECTRIC.name: dielectric_key,
    }
    prefix = prefix or Path(f"{data.stem}-{model.stem}")
    if prefix.is_dir():
        raise ValueError(f"-o {prefix} is a folder; give a prefix, like {prefix / model.stem}")
    predictions, parity = Path(f"{prefix}-predictions.xyz"), Path(f"{prefix}-parity.png")
    check_outputs(predictions, parity)
    if "" in keys.values():
        raise ValueError("the name of a label is empty; leave the option out for the usual names")
    calculator = LesCalculator(
        model,
        multichannel_bec=True,
        epsilon_e=epsilon_e.value,
        bec=bec.value if bec else None,
        epsilon_inf=dielectric(epsilon_inf),
        device=device,
    )
    structures = read_structures(data, f"::{every}")
    quiet = not errors.is_terminal
    with Progress(console=errors, transient=True, disable=quiet) as progress:
        comparison = compare(
            calculator,
            progress.track(structures, description="evaluating"),
            {name: key for name, key in keys.items() if key is not None},
            bec_order is BecOrder.r_first,
            polarizability_unit.value,
        )
    prefix.parent.mkdir(parents=True, exist_ok=True)
    frames = io.StringIO()
    ase.io.write(frames, list(comparison.predictions()), format="extxyz")
    write_atomically(predictions, frames.getvalue().encode())
    entries = inventory(structures, {n: key for n, key in keys.items() if key is not None})
    for text in (described(entries, len(structures)), *passed_over(entries)):
        note(text)
    rows = comparison.rows(shift_energies)
    if not rows:
        note(f"{data} has no labels under the names tried; only predictions were made")
        output.print(f"wrote {predictions}", highlight=False, soft_wrap=True)
        return
    title = f"{model} on {data} ({len(structures)} structures)"
    _print_errors(title, [row.quoted() for row in rows])
    fit = comparison.born_fit()
    if fit is not None:
        _print_born_charges(fit, calculator.bec, calculator.epsilon_inf)
    polarizabilities = comparison.polarizability_fit()
    if polarizabilities is not None:
        _print_polarizabilities(polarizabilities)
    if not shift_energies and any(
        row.unit == ENERGY.unit and row.errors.rmse > 1.0 for row in rows
    ):
        note("energies are far off: if they differ by atomic energies only, use --shift-energies")
    verdict = comparison.stress_convention()
    if verdict is not None and verdict.looks_like is not None:
        note(
            f"stresses of {data} look like {verdict.looks_like}: they are {verdict.factor:.3g} "
            f"times those of the model (correlation {verdict.correlation:.2f}); expected are "
            "eV/A^3, (1/V) dE/d(strain), or a virial in eV under --virial-key"
        )
    metadata = calculator.metadata
    has_bec = any(BORN_EFFECTIVE_CHARGES.name in frame for frame in comparison.reference)
    if has_bec and not metadata.coupling_is_known:
        note(
            f"the model has {metadata.charges.channels} charge channels, and no label settled how "
            "they couple to a field: LAMMPS and the calculator refuse its Born effective charges "
            "unless told 'multichannel_bec'"
        )
    charge = calculator.metadata.charge_state
    others = comparison.with_other_total_charge(charge)
    if others:
        note(f"the model is for a total charge of {charge:g} e; {others} structure(s) have another")
    plot_parity(comparison, parity, shift_energies)
    output.print(f"wrote {parity} and {predictions}", highlight=False, soft_wrap=True)


def _print_errors(title: str, rows: "Sequence[Row]") -> None:
    table = Table(title=title, title_justify="left")
    for name in ("quantity", "unit", "values", "RMSE", "MAE", "R2"):
        table.add_column(name, justify="left" if name in ("quantity", "unit") else "right")
    for row in rows:
        e = row.errors
        numbers = [f"{e.rmse:.5g}", f"{e.mae:.5g}", f"{e.r2:.5f}"]
        if row.void:
            numbers = ["void"] * 3
        elif row.no_r2 or math.isnan(e.r2):
            numbers[2] = "-"
        table.add_row(row.quantity, row.unit, str(e.values), *numbers)
    output.print(table)
    for row in rows:
        if row.void:
            note(f"{row.quantity} says nothing: {row.void}")
        elif row.no_r2 and row.errors.rmse > 0.0:
            note(f"no R2 of {row.quantity}: {row.no_r2}")


def _print_polarizabilities(fit: "PolarizabilityFit") -> None:
    table = Table(title="polarizability of the structure, in e A^2/V", title_justify="left")
    for name in ("part", "correlation", "slope"):
        table.add_column(name, justify="left" if name == "part" else "right")
    parts = (("isotropic", fit.isotropic), ("anisotropic", fit.anisotropic))
    for (name, correlation), slope in zip(parts, fit.slopes, strict=True):
        table.add_row(name, f"{correlation:.3f}", f"{slope:.3f}")
    output.print(table)
    output.print(
        f"of deviations from the mean of {fit.structures} structures; mean of trace / 3: model "
        f"{fit.mean[0]:.4f}, labels {fit.mean[1]:.4f} e A^2/V",
        highlight=False,
        soft_wrap=True,
    )


def _print_born_charges(fit: "BornFit", form: str, epsilon_inf: "Dielectric") -> None:
    table = Table(title=f"born effective charges, {form} form, in e", title_justify="left")
    table.add_column("")
    for name in ("model", "labels"):
        table.add_column(name, justify="right")
    for element, (model, label) in fit.mean.items():
        table.add_row(f"mean Z of {element} (trace / 3)", f"{model:+.4f}", f"{label:+.4f}")
    table.add_row("mean |sum over atoms of Z| (sum rule: 0)", *(f"{net:.4f}" for net in fit.net))
    output.print(table)
    if fit.scale == 0.0:
        note("predictions of Born effective charges are zero, or say nothing of the labels")
        return
    factor = fit.epsilon_inf_factor()
    if factor is None:
        dielectric = "the sign is wrong"
    elif isinstance(epsilon_inf, list):
        dielectric = f"epsilon_inf {factor:.4g} times that of the model"
    else:
        dielectric = f"epsilon_inf {factor * epsilon_inf:.4g} in place of {epsilon_inf:.4g}"
    for line in (
        f"RMSE {fit.rmse:.4f} e; transposed {fit.rmse_transposed:.4f} e, negated "
        f"{fit.rmse_negated:.4f} e",
        f"best scale {fit.scale:.4f} (RMSE {fit.rmse_scaled:.4f} e): {dielectric}",
    ):
        output.print(line, highlight=False, soft_wrap=True)
    better = fit.better()
    if better:
        ways = []
        if "transposed" in better:
            ways.append("--bec-order (P-first or r-first) names the order of the file")
        if "negated" in better:
            ways.append("lammps-les export --charge-sign turns the sign of the model")
        note(f"warning: labels fit better {better}: {'; '.join(ways)}")
