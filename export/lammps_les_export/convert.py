"""From a trained network, however it is stored, to a model file."""

import datetime
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from ase import Atoms

from lammps_les import __version__, pretrained
from lammps_les.electrostatics import LongRangeParameters, coupling_dielectric
from lammps_les.files import read_text, unreadable
from lammps_les.model_file import (
    FORMAT_VERSION,
    METADATA_FILE,
    BecForm,
    Dielectric,
    Metadata,
    ModelFileError,
    checked_dielectric,
    network_section,
)
from lammps_les_export.adapters import (
    EVERYTHING,
    Choice,
    ImportedModel,
    UnsupportedModelError,
    is_own_checkpoint,
    read_checkpoint,
)
from lammps_les_export.adapters.imported import WARNING
from lammps_les_export.charge_sign import (
    ADVICE,
    UndecidedError,
    contradicts_electronegativity,
    listed,
    mean_text,
    signs_by_electronegativity,
    signs_by_labels,
    water_box,
)
from lammps_les_export.response_evidence import response_of
from lammps_les_export.sign_evidence import Coupling, Evidence, a_few, gather, polar_labels
from lammps_les_export.writer import write_model

SETTLED = ("given", "labels", "total charges")
"""What ``provenance.charge_sign`` says of signs that electronegativities have no say in."""


class Conversion(NamedTuple):
    """What was written, and what was decided on the way.

    Attributes:
        metadata: of the model file.
        notes: one sentence for each decision that the source file did not settle; one that
            begins with ``WARNING`` says that something speaks against what was asked for.
    """

    metadata: Metadata
    notes: list[str]


def import_model(path: str | Path, choice: Choice = EVERYTHING) -> ImportedModel:
    """Read a trained network with the adapter for its kind of file.

    Args:
        path: a file; a folder written by the training; or, where there is neither, the name of a
            model that comes with the package.
        choice: which part of a checkpoint.

    Raises:
        ModelFileError: no such file, or a file that is a model file already.
        ValueError: what the adapter refuses.
    """
    path = Path(path)
    shipped = not path.exists() and str(path) in pretrained.names()
    if path.is_dir() or shipped:
        if choice != EVERYTHING:
            raise ModelFileError(
                f"{path} has one head, is taken with all its elements, and says its norm; leave "
                "--head, --elements and --norm out"
            )
        return _from_folder(pretrained.folder(str(path)) if shipped else path)
    problem = unreadable(path)
    if problem:
        known = ", ".join(pretrained.names())
        raise ModelFileError(
            f"model {path} {problem}; those that come with lammps-les are: {known}"
        )
    if path.suffix == ".ckpt" and is_own_checkpoint(path):
        raise ModelFileError(
            f"{path} is a checkpoint of a training; export its run folder, {path.parent}: the best "
            "weights are taken, whether the training has ended or not"
        )
    if _is_model_file(path):
        raise ModelFileError(
            f"{path} is a model file already (`lammps-les info` shows it); to make a new one, "
            "export what it was made of"
        )
    try:
        return read_checkpoint(path, choice)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(f"{path}: {error}") from None


def _is_model_file(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(f"/extra/{METADATA_FILE}") for name in archive.namelist())
    except Exception:  # of what is no archive, or a damaged one
        return False


def _from_folder(folder: Path) -> ImportedModel:
    if not (folder / pretrained.CONFIG).is_file():
        raise ModelFileError(
            f"{folder} holds no trained network ({pretrained.CONFIG} is missing); expected the run "
            "folder of a training"
        )
    network, metadata = pretrained.load_folder(folder)
    suggested = {
        "charge_sign": metadata.charges.sign,
        "charge_sign_by": metadata.provenance.get("charge_sign"),
        "epsilon_inf": metadata.response.epsilon_inf,
        "atomic_energies": metadata.atomic_energies,
        "total_charges": pretrained.trained_total_charges(folder),
    }
    sections = {"long_range", "charges", "response", "provenance"}
    decided = {"charges": {"sign", "channels"}, "response": {"epsilon_inf"}}
    fields = metadata.model_dump(include=sections, exclude=decided)
    if "bec_form" not in metadata.response.model_fields_set:  # an older folder
        fields["response"]["bec_form"] = _form_of_training(folder)
    return ImportedModel(network.double(), fields, suggested)


def _form_of_training(folder: Path) -> str:
    """Form of the Born effective charges in the configuration of the training beside a network."""
    path = folder / "config.yaml"
    try:
        content = yaml.safe_load(read_text(path, 10_000_000)) if path.exists() else {}
        return content.get("charges", {}).get("born", "local")
    except (yaml.YAMLError, AttributeError) as error:
        raise ModelFileError(f"{path} is no configuration: {str(error).splitlines()[0]}") from None


def export_model(
    source: str | Path,
    target: str | Path,
    *,
    choice: Choice = EVERYTHING,
    dtype: str = "float32",
    epsilon_inf: Dielectric | None = None,
    charge_sign: Sequence[float] | None = None,
    structures: Sequence[Atoms] | None = None,
    atomic_energies: Mapping[str, float] | None = None,
    total_charge: float | None = None,
    bec_form: BecForm | None = None,
    bec_fitted: bool = False,
) -> Conversion:
    """Write a trained network as a model file.

    Args:
        source: file of the trained network.
        target: model file to write.
        choice: what to take of a checkpoint that holds more.
        dtype: ``float32`` or ``float64``, the type in which the network runs.
        epsilon_inf: high-frequency dielectric constant, or tensor in rows; without one that of the
            source, else 1.
        charge_sign: +1 or -1 for all channels, or one for each; without one that of Born effective
            charges (else dipoles) that ``structures`` are labelled with, else what the source
            states, else the more electronegative species get the more negative Born effective
            charges in ``structures``.
        structures: typical of what the network was trained on; without them, for H and O, a box of
            liquid water.
        atomic_energies: eV per atom of every species; without them those of the source, else zero.
        total_charge: e, of the systems that the model file is for; only for a network that depends
            on it, by an exact constraint or an embedding. Without it that of the training data,
            where there is only one.
        bec_form: form of the Born effective charges, ``local`` or ``phase``; without it that of
            the source: for a checkpoint ``phase`` if it gives them itself, else ``local``.
        bec_fitted: they were among the labels of the training; a run folder knows by itself.

    Raises:
        ModelFileError: the source cannot be used, a decision cannot be made, or the sign that the
            source states is against the electronegativities.
    """
    notes: list[str] = []
    imported = _at_total_charge(import_model(source, choice), total_charge, notes)
    notes += imported.notes
    network, charges = imported.network, imported.metadata["charges"]
    response = dict(imported.metadata["response"])
    if epsilon_inf is None:
        epsilon_inf = imported.suggested.get("epsilon_inf")
        if epsilon_inf is None:
            epsilon_inf = 1.0
            notes.append("epsilon_inf is not known and set to 1; Born charges scale as its root")
        else:
            notes.append(f"epsilon_inf {epsilon_text(epsilon_inf)} taken from {Path(source).name}")
    try:
        checked_dielectric(epsilon_inf)
    except ValueError as error:
        raise ModelFileError(f"epsilon_inf: {error}, got {epsilon_inf!r}") from None
    own_form = response["bec_form"]
    if network.channels > 0 and (bec_form or own_form) == "phase":
        source_of = "asked for" if bec_form else f"as in {Path(source).name}"
        notes.append(f"Born effective charges in the phase form, {source_of}")
    if getattr(network.config, "heads", None) is not None:
        norm = imported.metadata["long_range"]["norm"]
        response |= response_of(network, structures, norm, epsilon_inf, notes)
    response = _with_epsilon_e(response, epsilon_inf, imported.suggested.get("epsilon_inf"))
    coupling = Coupling(
        charges["unit"],
        response.get("epsilon_e") or epsilon_inf,
        # a shift of all charges cancels where the mean is removed
        response["remove_mean"] or charges.get("total") is not None,
        bec_form or own_form,
        LongRangeParameters(**imported.metadata["long_range"]),
    )
    signs, signs_by = _charge_signs(imported, coupling, charge_sign, structures, notes)
    fields = {
        "format_version": FORMAT_VERSION,
        "network": network_section(network, dtype),
        "latents": list(network.latent_names),
        "long_range": imported.metadata["long_range"],
        "charges": {**charges, "channels": network.channels, "sign": signs},
        "response": {
            **response,
            "epsilon_inf": epsilon_inf,
            "bec_form": bec_form or own_form,
            "bec_fitted": bec_fitted or response.get("bec_fitted", False),
        },
        "atomic_energies": _atomic_energies(
            network.species, atomic_energies or imported.suggested.get("atomic_energies"), notes
        ),
        "provenance": {
            **imported.metadata["provenance"],
            "date": datetime.date.today().isoformat(),
            "exported_by": f"lammps-les {__version__}",
            **({"charge_sign": signs_by} if signs_by else {}),
        },
    }
    return Conversion(write_model(target, network, fields), notes)


def _with_epsilon_e(
    response: Mapping[str, Any], epsilon_inf: Dielectric, own: Dielectric | None
) -> dict[str, Any]:
    """Where another epsilon_inf takes the place of its own, epsilon_e follows it by chi."""
    found, chi = dict(response), response.get("susceptibility")
    if found.get("epsilon_e") is not None and chi is not None and epsilon_inf != own:
        found["epsilon_e"] = coupling_dielectric(
            epsilon_inf, chi * torch.eye(3, dtype=torch.float64)
        )
    return found


def epsilon_text(epsilon_inf: Dielectric) -> str:
    """``1.83``, or ``[5.8 0 0; 0 5.8 0; 0 0 5.2]`` of a tensor."""
    if isinstance(epsilon_inf, list):
        return f"[{'; '.join(' '.join(f'{x:g}' for x in row) for row in epsilon_inf)}]"
    return f"{epsilon_inf:g}"


def _at_total_charge(
    imported: ImportedModel, given: float | None, notes: list[str]
) -> ImportedModel:
    """The model for systems of one total charge; the same where it does not depend on it."""
    network, metadata = imported.network, imported.metadata
    embedded, exact = network.needs_total_charge, metadata["charges"].get("total") is not None
    if not embedded and not exact:
        if given is not None:
            raise ModelFileError(
                "the network does not depend on the total charge of the system; leave "
                "--total-charge out"
            )
        return imported
    trained = imported.suggested.get("total_charges", [])
    listed = ", ".join(f"{charge:g}" for charge in trained)
    if given is None:
        if len(trained) != 1:
            raise ModelFileError(
                "a model file stands for one total charge of the system, and the network was "
                f"trained on {listed or 'unknown ones'} e; choose with --total-charge"
            )
        given = trained[0]
    elif not any(math.isclose(given, charge, abs_tol=1e-6) for charge in trained):
        notes.append(f"the network was trained on a total charge of {listed} e, not {given:g}")
    if exact:
        metadata = {**metadata, "charges": {**metadata["charges"], "total": float(given)}}
    if embedded:
        network = network.at_total_charge(given)
        provenance = {**metadata["provenance"], "embedded_total_charge": f"{given:g}"}
        metadata = {**metadata, "provenance": provenance}
    return replace(imported, network=network, metadata=metadata)


def _charge_signs(
    imported: ImportedModel,
    coupling: Coupling,
    given: Sequence[float] | None,
    structures: Sequence[Atoms] | None,
    notes: list[str],
) -> tuple[list[float], str | None]:
    """Signs that were asked for, else those that labels, the source or electronegativities say.

    Returns:
        [channels], and what they rest on (``provenance.charge_sign``); None where a source states
        them and does not say.
    """
    channels, total = imported.network.channels, imported.metadata["charges"].get("total")
    if given is not None and len(given) not in (1, channels):
        raise ModelFileError(
            f"expected one charge sign, or one for each of {channels} channels; got {len(given)}"
        )
    if channels == 0:
        return [], None
    evidence, place = _evidence(imported, coupling, structures)
    stated, stated_by = (imported.suggested.get(k) for k in ("charge_sign", "charge_sign_by"))
    bound = bool(total)
    by_labels = None if evidence is None else signs_by_labels(evidence)
    if given is not None:
        signs = [float(sign) for sign in given] * (channels if len(given) == 1 else 1)
        how, by = "as asked for", (signs == stated and stated_by) or "given"
    elif by_labels is not None:
        signs, how, by = by_labels, f"decided by the labels of {place}", "labels"
    elif stated is not None:
        signs, how, by = [float(s) for s in stated], "as the source file states", stated_by
    elif evidence is None:
        raise ModelFileError(
            "the sign of the charges cannot be decided without structures for species "
            f"{' '.join(imported.network.species)}; {ADVICE}"
        )
    else:
        try:
            signs = signs_by_electronegativity(evidence)
        except UndecidedError as error:
            raise ModelFileError(
                f"the sign of the charges cannot be decided by {place}: {error}; {ADVICE}"
            ) from None
        how, by = f"decided by {place} and electronegativities", "electronegativities"
    if bound and signs != stated:
        raise ModelFileError(
            f"the charges sum to {total:g} e, which settles their sign "
            "in training; leave --charge-sign and --structures out"
        )
    text = f"charge sign {listed(signs)} {how}"
    if evidence is None:
        notes.append(f"{text}; --structures would show the Born effective charges")
        return signs, by
    text += f"; {mean_text(evidence, signs)} in {place}"
    if not contradicts_electronegativity(evidence, signs):
        notes.append(text)
        return signs, by
    against = f"{text}: that is against the electronegativities"
    if given is None and by not in SETTLED and not bound:
        raise ModelFileError(f"{against}; {ADVICE}")
    notes.append(f"{WARNING}{against}" + (f" ({by})" if how.startswith("as the") and by else ""))
    return signs, by


def _evidence(
    imported: ImportedModel, coupling: Coupling, structures: Sequence[Atoms] | None
) -> tuple[Evidence | None, str]:
    """What structures tell of the signs, and what these are; None where there are none."""
    chosen = a_few(structures or water_box(imported.network))
    if not chosen:
        return None, ""
    place = f"{len(chosen)} structure(s)" if structures else "a box of liquid water"
    labels = [polar_labels(atoms) for atoms in chosen]
    return gather(imported.network, chosen, coupling, labels), place


def _atomic_energies(
    species: list[str], given: Mapping[str, float] | None, notes: list[str]
) -> dict[str, float]:
    if given is None:
        notes.append("atomic energies are not known and set to 0; energies lack a constant")
        return dict.fromkeys(species, 0.0)
    if set(given) != set(species):
        raise ModelFileError(
            f"expected atomic energies of {' '.join(species)}, got those of {' '.join(given)}"
        )
    return {symbol: float(given[symbol]) for symbol in species}
