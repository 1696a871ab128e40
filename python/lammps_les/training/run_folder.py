"""What a training leaves behind: configuration, provenance, model, plots, report."""

import datetime
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib
import torch
import yaml
from ase import Atoms
from torch import Tensor

from lammps_les import __version__
from lammps_les.analysis.comparison import Comparison, compare
from lammps_les.analysis.parity import plot_parity, save_figure
from lammps_les.calculators import LesCalculator
from lammps_les.data.structures import Labelled
from lammps_les.files import write_atomically
from lammps_les.model_file import FORMAT_VERSION, network_section
from lammps_les.pretrained import WEIGHTS, save_folder
from lammps_les.training.callbacks import UNITS, read_metrics
from lammps_les.training.charge_signs import final_signs
from lammps_les.training.config import RunConfig
from lammps_les.training.preparation import Prepared
from lammps_les.training.response import trained_response
from lammps_les_export.convert import WARNING, export_model

CONFIG, METRICS, MODEL, REPORT = "config.yaml", "metrics.csv", "model.pt", "report.md"
BEST, LAST, PROVENANCE = "best.ckpt", "last.ckpt", "provenance.json"
RESULTS = (BEST, LAST, WEIGHTS, MODEL)
"""Files that have cost a training; a folder with one of them is not used for another."""


def resolved(config: RunConfig, folder: Path) -> dict[str, Any]:
    """The configuration with all defaults, and with paths that hold anywhere on this machine."""
    content = config.model_dump(mode="json", exclude_unset=False)
    for file in content["data"]["files"]:
        file["path"] = str((folder / file["path"]).resolve())
    if config.init_from is not None:
        del content["network"]
        if not config.init.channels:
            del content["long_range"]
        # unset means: as init_from has it
        for name in ("remove_mean", "bec_form", "total_charge"):
            if name not in config.charges.model_fields_set:
                del content["charges"][name]
        path = folder / config.init_from
        content["init_from"] = str(path.resolve()) if path.exists() else config.init_from
    return content


def write_config(content: Mapping[str, Any], folder: Path) -> None:
    """Write the resolved configuration; ``lammps-les train`` reads it."""
    write_atomically(folder / CONFIG, yaml.safe_dump(dict(content), sort_keys=False).encode())


def provenance(config: RunConfig, folder: Path, prepared: Prepared) -> dict[str, Any]:
    """Where a model comes from: hashes of the data, seed, versions, structures of each part.

    Files have the names that they have in the configuration, relative to ``folder``.
    """
    start = folder / (config.init_from or "")
    start = start / WEIGHTS if start.is_dir() else start
    return {
        "data": {file.path: digest(folder / file.path) for file in config.data.files},
        **({"init_from": digest(start)} if config.init_from and start.is_file() else {}),
        "parts": {
            name: [structure.where for structure in part]
            for name, part in prepared.structures.items()
        },
        "seed": config.seed,
        "versions": {
            "lammps_les": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "lightning", "numpy", "ase", "vesin")},
        },
        "machine": platform.machine(),
        "started": datetime.datetime.now().isoformat(timespec="seconds"),
    }


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def averages(checkpoint: Path) -> dict[str, Tensor]:
    """Moving average of the parameters in a checkpoint of Lightning."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    beginning = "average."
    return {
        name.removeprefix(beginning): value
        for name, value in state.items()
        if name.startswith(beginning)
    }


def write_trained(
    folder: Path, config: RunConfig, prepared: Prepared, origin: Mapping[str, Any]
) -> list[str]:
    """Write the network of ``best.ckpt`` as trained folder (weights, configuration) and model file.

    Where the model depends on the total charge, there is a model file for each one in the data.

    Returns:
        one sentence for each decision taken here and for what could not be done.
    """
    weights = averages(folder / BEST)
    prepared.network.load_state_dict(weights)
    notes: list[str] = []
    response = trained_response(prepared.network, prepared.physics, prepared.frames["training"])
    physics = response.physics
    notes += response.notes
    signs, signs_by, on_signs = final_signs(
        prepared.network, physics, prepared.sign_origin, prepared.structures
    )
    notes += [on_signs] if signs else []
    metadata: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "network": network_section(prepared.network, config.dtype),
        "latents": list(prepared.network.latent_names),
        "long_range": physics.long_range._asdict(),
        "charges": {
            "channels": prepared.network.channels,
            "unit": physics.charge_unit,
            "sign": signs,
            "total": prepared.total_charges[0] if physics.exact_total_charge else None,
        },
        "response": {
            "epsilon_inf": physics.epsilon_inf,
            "remove_mean": physics.remove_mean,
            "bec_form": physics.bec_form,
            "bec_fitted": prepared.bec_fitted,
            **response.fields,
        },
        "atomic_energies": prepared.atomic_energies,
        "provenance": {
            "source": f"{WEIGHTS}, trained on "
            + ", ".join(Path(path).name for path in origin["data"])
            + (f", starting from {Path(config.init_from).name}" if config.init_from else ""),
            "program": "lammps-les",
            "version": __version__,
            "date": datetime.date.today().isoformat(),
            "citation": prepared.citation,
            **({"charge_sign": signs_by} if signs else {}),
        },
    }
    save_folder(folder, weights, metadata, origin, prepared.total_charges)
    files = model_files(folder, prepared)
    for charge, file in files.items():
        export_model(folder, file, dtype=config.dtype, total_charge=charge, charge_sign=signs)
    if len(files) > 1:
        notes.append(
            "a model file stands for one total charge of the system: "
            + ", ".join(f"{file.name} for {charge:g} e" for charge, file in files.items())
        )
    return notes


def model_files(folder: Path, prepared: Prepared) -> dict[float | None, Path]:
    """Model files of a run by the total charge [e] of the systems they are for; None for any."""
    charges = prepared.total_charges
    if len(charges) < 2:
        return {charges[0] if charges else None: folder / MODEL}
    return {q: folder / f"{Path(MODEL).stem}_{f'{q:+g}' if q else '0'}.pt" for q in charges}


def plot_learning_curves(folder: Path) -> None:
    """Draw metrics.csv as learning-curves.png, one panel a quantity."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = read_metrics(folder / METRICS)
    present = [n for n in UNITS if any(f"validation/{n}" in row for row in rows)]
    if not present:
        return
    figure, axes = pyplot.subplots(
        1, len(present), figsize=(4.2 * len(present), 3.6), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], present, strict=True):
        factor, unit = UNITS[name]
        for part in ("training", "validation"):
            key = f"{part}/{name}"
            points = [(row["epoch"], factor * row[key]) for row in rows if key in row]
            axis.plot(*zip(*points, strict=True), label=part)
        axis.set_yscale("log")
        axis.set_xlabel("epoch")
        axis.set_ylabel(f"RMSE [{unit}]")
        axis.set_title(name.replace("_", " "))
        axis.legend(frameon=False)
    save_figure(figure, folder / "learning-curves.png")


def evaluate_parts(
    folder: Path, config: RunConfig, prepared: Prepared
) -> dict[str, list[tuple[str, str, float, float, float, int]]]:
    """Errors of the exported models by part of the data, with a parity plot for each.

    Returns:
        for each part rows of quantity, unit, RMSE, MAE, R2 and number of values.
    """
    calculators = {
        charge: LesCalculator(file, multichannel_bec=True)
        for charge, file in model_files(folder, prepared).items()
    }
    found = {}
    for part, structures in prepared.structures.items():
        comparison = Comparison()
        for charge, calculator in calculators.items():
            mine = [s for s in structures if charge in (None, s.total_charge)]
            comparison += compare(calculator, [_under_usual_names(s) for s in mine])
        rows = comparison.rows()
        if not rows:
            continue
        plot_parity(comparison, folder / f"parity-{part}.png")
        found[part] = [
            (r.quantity, r.unit, r.errors.rmse, r.errors.mae, r.errors.r2, r.errors.values)
            for r in rows
        ]
    return found


def _under_usual_names(structure: Labelled) -> Atoms:
    """The labels as they were read, whatever names and order of indices the file has."""
    atoms = structure.atoms
    return Atoms(
        atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(structure.labels)
    )


def write_report(
    folder: Path,
    prepared: Prepared,
    origin: Mapping[str, Any],
    errors: Mapping[str, Sequence[tuple[str, str, float, float, float, int]]],
    notes: Sequence[str],
) -> None:
    """Write report.md: what was trained on, errors of each part, plots."""
    counts = {name: len(part) for name, part in prepared.structures.items()}
    lines = [
        f"# {folder.resolve().name}",
        "",
        f"lammps-les {__version__}, torch {origin['versions']['torch']}, "
        f"started {origin['started']}, seed {origin['seed']}. "
        f"Configuration: [{CONFIG}]({CONFIG}); data hashes and structures of each part: "
        f"[{PROVENANCE}]({PROVENANCE}).",
        "",
        *(f"**{note}**\n" for note in notes if note.startswith(WARNING)),
        "| part | structures | atoms |",
        "|---|---|---|",
    ]
    for name, part in prepared.structures.items():
        lines.append(f"| {name} | {counts[name]} | {sum(len(s.atoms) for s in part)} |")
    for name in ("test", "validation", "training"):
        if name not in errors:
            continue
        remark = {
            "test": "These structures took no part in training nor in the choice of the weights.",
            "validation": "These structures chose the best weights.",
        }.get(name, "")
        lines += ["", f"## Errors, {name}", ""]
        lines += [remark, ""] if remark else []
        lines += ["| quantity | unit | RMSE | MAE | R2 | values |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {quantity.strip()} | {unit} | {rmse:.5g} | {mae:.5g} | {r2:.5f} | {values} |"
            for quantity, unit, rmse, mae, r2, values in errors[name]
        ]
        lines += ["", f"![parity]({f'parity-{name}.png'})"]
    if (folder / "learning-curves.png").is_file():
        lines += ["", "## Learning curves", "", "![learning curves](learning-curves.png)"]
    if notes:
        remarks = [f"- {note}" for note in notes if not note.startswith(WARNING)]
        lines += ["", "## Notes", "", *remarks]
    write_atomically(folder / REPORT, ("\n".join(lines) + "\n").encode())


def write_provenance(origin: Mapping[str, Any], folder: Path) -> None:
    """Write provenance.json."""
    write_atomically(folder / PROVENANCE, (json.dumps(origin, indent=2) + "\n").encode())
