"""The physical signs of latent charges, which the energy does not know.

Born effective charges decide, since they are what a field acts on; latent charges themselves say
little: a mean one may have the opposite sign of the mean Born charge of its species.

Labels decide where there are any: of all signs of the channels those whose predictions correlate
best with them. Without labels the more electronegative species have the more negative mean Z: each
channel gets the sign by which it adds to that.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from ase import Atoms

from lammps_les.model_file import ModelFileError
from lammps_les.models import Chain
from lammps_les_export.electronegativity import PAULING
from lammps_les_export.sign_evidence import Evidence

ADVICE = "give --structures FILE with typical structures, or --charge-sign +1 or -1"
MIN_ELECTRONEGATIVITY = (
    0.4  # Pauling, between two species; Born charges of C-H turn with the molecule
)
MIN_CHARGE = 0.1  # e, between the mean Z of two species
MIN_CORRELATION = 0.5  # of mean Z with electronegativities


class UndecidedError(ModelFileError):
    """The structures do not tell the sign of the charges; says why."""


def listed(signs: Sequence[float]) -> str:
    """``+1 -1`` of (1.0, -1.0)."""
    return " ".join(f"{sign:+g}" for sign in signs)


def mean_text(evidence: Evidence, signs: Sequence[float]) -> str:
    """``mean Z H +0.52 O -1.04 e``, and in brackets that of labels where there are any."""
    means = " ".join(f"{symbol} {z:+.2f}" for symbol, z in evidence.mean_of(signs).items())
    labelled = zip(evidence.species, evidence.labelled_mean, strict=True)
    beside = " ".join(f"{symbol} {z:+.2f}" for symbol, z in labelled if not np.isnan(z))
    return f"mean Z {means} e" + (f" (labels {beside} e)" if beside else "")


def signs_by_labels(evidence: Evidence) -> list[float] | None:
    """Signs [channels] with which predictions correlate best with labels; None without labels."""
    predicted, reference = evidence.predicted, evidence.reference
    if not evidence.label or not reference.any() or not predicted.any():
        return None
    overlap, gram = predicted @ reference, predicted @ predicted.T
    best, best_score = None, -np.inf
    for signs in itertools.product((1.0, -1.0), repeat=len(predicted)):
        norm = float(np.array(signs) @ gram @ signs)
        score = float(overlap @ signs) / np.sqrt(norm) if norm > 0.0 else -np.inf
        if score > best_score:
            best, best_score = list(signs), score
    return best


def signs_by_electronegativity(evidence: Evidence) -> list[float]:
    """Signs [channels] that make the more electronegative species the more negative ones.

    For each channel the covariance, weighted by the number of atoms, of mean Z and Pauling's
    electronegativity decides; the sum over channels must then follow the electronegativities.

    Raises:
        UndecidedError: it does not, species differ too little in mean Z or in electronegativity,
            there is only one, or Z is not finite.
    """
    if not np.isfinite(evidence.mean).all():
        raise UndecidedError("Born effective charges are not finite")
    known = _known(evidence)
    weight, scale = _weights_and_scale(evidence, known)
    signs = [
        -1.0 if weight @ (channel * scale) > 0.0 else 1.0 for channel in evidence.mean[:, known]
    ]
    total = np.array(signs) @ evidence.mean[:, known]
    if total.max() - total.min() < MIN_CHARGE:
        raise UndecidedError(
            f"{mean_text(evidence, signs)} hardly tell the species apart (differences below "
            f"{MIN_CHARGE} e)"
        )
    centered = total - weight @ total
    correlation = -(weight @ (centered * scale)) / np.sqrt(
        (weight @ centered**2) * (weight @ scale**2)
    )
    if correlation < MIN_CORRELATION:
        raise UndecidedError(
            f"{mean_text(evidence, signs)} do not follow the electronegativities (correlation "
            f"{correlation:.2f})"
        )
    return signs


def contradicts_electronegativity(evidence: Evidence, signs: Sequence[float]) -> bool:
    """Whether electronegativities decide, and Born charges with these signs are against them."""
    total = Evidence(
        evidence.species,
        evidence.counts,
        (np.asarray(signs) @ evidence.mean)[None],
        evidence.labelled_mean,
        np.zeros((1, 0)),
        np.zeros(0),
        "",
    )
    try:
        return signs_by_electronegativity(total) == [-1.0]
    except UndecidedError:
        return False


def _known(evidence: Evidence) -> np.ndarray:
    """Which species are there and have an electronegativity."""
    known = np.array([s in PAULING for s in evidence.species]) & (evidence.counts > 0)
    symbols = [s for s, use in zip(evidence.species, known, strict=True) if use]
    if len(symbols) < 2:
        raise UndecidedError(
            "the structures hold fewer than two species of known electronegativity"
        )
    values = [PAULING[s] for s in symbols]
    if max(values) - min(values) < MIN_ELECTRONEGATIVITY:
        raise UndecidedError(
            f"the electronegativities of {' '.join(symbols)} differ by less than "
            f"{MIN_ELECTRONEGATIVITY}"
        )
    return known


def _weights_and_scale(evidence: Evidence, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of each species among the atoms, and its electronegativity less the mean."""
    weight = evidence.counts[known] / evidence.counts[known].sum()
    scale = np.array([PAULING[s] for s, use in zip(evidence.species, known, strict=True) if use])
    return weight, scale - weight @ scale


def water_box(network: Chain) -> list[Atoms]:
    """Liquid water, in which a model of hydrogen and oxygen shows its sign; else nothing."""
    if set(network.species) != {"H", "O"}:
        return []
    from lammps_les.benchmark.start import read_start

    return [read_start(None, list(network.species)).atoms]
