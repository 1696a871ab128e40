"""The configuration of a training: what may stand in the file, with meaning and default."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lammps_les.model_file import (
    ATOMIC_ENERGY_RANGE,
    DL_RANGE,
    NORM_RANGE,
    SIGMA_RANGE,
    Dielectric,
)
from lammps_les.models import CaceConfig, NetworkConfig
from lammps_les.models.limits import Elements, within
from lammps_les.units import NORM_COULOMB

Share = Annotated[float, within(0.0, 1.0)]
Factor = Annotated[float, within(1e-12, 1e12)]
Weight = Annotated[float, within(0.0, 1e12)] | tuple[Factor, Factor]
Seed = Annotated[int, within(0, 2**32 - 1)]
Epochs = Annotated[int, within(1, 10_000_000)]
Index = Annotated[int, within(0, 10**9)]
AtomicEnergy = Annotated[float, within(*ATOMIC_ENERGY_RANGE)]
Name = Annotated[str, Field(min_length=1)]
NO_CITATION = "not given"
BecOrder = Literal["P-first", "r-first"]


RENAMED = {
    "charges.born": "charges.bec_form",
    "training.averaging": "training.ema_decay",
    "training.check_every": "training.validate_every",
    "training.max_gradient": "training.gradient_clip",
    "training.warm_up": "training.warmup",
}
"""Keys of development versions by what they are called now."""


def _share_or_number(value: float) -> float:
    if value > 1.0 and not value.is_integer():
        raise ValueError("expected a share below 1 or a whole number of structures")
    return value


HeldOut = Annotated[float, within(0.0, 1e9), AfterValidator(_share_or_number)] | list[Index]


class Section(BaseModel):
    """A part of the configuration; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileConfig(Section):
    """One data file.

    Attributes:
        path: any format that ASE reads.
        weight: factor on the loss of its structures.
        part: which part of the data its structures belong to; ``split`` deals them out.
        frames: which frames, as ASE writes it (``:``, ``:100``, ``::10``).
        bec_order: of this file; default: that of ``data``.
    """

    path: Name
    weight: Factor = 1.0
    part: Literal["split", "training", "validation", "test"] = "split"
    frames: Name = ":"
    bec_order: BecOrder | None = None


class SplitConfig(Section):
    """How structures are dealt out.

    Attributes:
        validation: share (below 1) or number (from 1 on) of structures, or a list of indices.
        test: likewise.
        training: list of indices; default: all others.
        seed: of the shuffle.
    """

    validation: HeldOut = 0.1
    test: HeldOut = 0.1
    training: list[Index] | None = None
    seed: Seed = 1

    @model_validator(mode="after")
    def _of_one_kind(self) -> "SplitConfig":
        by_index = [isinstance(part, list) for part in (self.validation, self.test)]
        if any(by_index) and not all(by_index):
            raise ValueError("validation and test must be both numbers or both lists of indices")
        if self.training is not None and not all(by_index):
            raise ValueError("training can be a list only where validation and test are lists")
        return self


class LabelsConfig(Section):
    """Names of labels in the files; without one the usual names are tried.

    The virial stands for the stress, with its own sign and unit, the dielectric tensor for the
    polarizability.
    """

    energy: Name | None = None
    forces: Name | None = None
    stress: Name | None = None
    virial: Name | None = None
    born_effective_charges: Name | None = None
    dipole: Name | None = None
    quadrupole: Name | None = None
    total_charge: Name | None = None
    polarizability: Name | None = None
    dielectric: Name | None = None


class DataConfig(Section):
    """What is learned from.

    Attributes:
        files: at least one.
        labels: names of the labels in the files.
        bec_order: which index of a Born effective charge the files have first.
        polarizability_unit: of the polarizabilities in the files, ``e A^2/V`` or ``A^3``.
        split: of the structures of files whose ``part`` is ``split``.
        atomic_energies: energies [eV] of atoms that are taken off: ``fit`` (least squares over the
            training structures), ``isolated`` (structures of one atom without neighbors, in any
            part), or values by symbol.
        max_force: eV/A; a structure with a larger force component is refused.
        min_distance: sums of the covalent radii of two atoms; a structure in which two are nearer
            is refused.
        check_stress: whether stresses are compared with what forces make of them.
    """

    files: Annotated[list[FileConfig], Field(min_length=1)]
    labels: LabelsConfig = LabelsConfig()
    bec_order: BecOrder = "P-first"
    polarizability_unit: Literal["e A^2/V", "A^3"] = "e A^2/V"
    split: SplitConfig = SplitConfig()
    atomic_energies: Literal["fit", "isolated"] | dict[str, AtomicEnergy] = "fit"
    max_force: Annotated[float, within(1e-6, 1e9)] = 100.0
    min_distance: Annotated[float, within(0.1, 1.0)] = 0.4
    check_stress: bool = True


class InitConfig(Section):
    """What is taken of ``init_from``, and what is added to it.

    Attributes:
        head: name of one of several heads of a MACE model.
        elements: those to keep of a MACE model for many.
        channels: latent charges per atom that a network without any gets; their readouts begin at
            random, all else as it is, and ``long_range`` may then be given.
    """

    head: Name | None = None
    elements: Annotated[Elements, Field(min_length=1)] | None = None
    channels: Annotated[int, within(1, 64)] | None = None


class LongRangeSection(Section):
    """The long-range sum, a part of the model.

    Attributes:
        sigma: width [A] of the smeared charges.
        dl: real-space resolution [A]: wave vectors up to 2 pi / dl.
        norm: N [eV A per file unit squared]; the default makes the file unit of charge 1 e.
        remove_self: whether the self-interaction is left out.
    """

    sigma: Annotated[float, within(*SIGMA_RANGE)] = 1.0
    dl: Annotated[float, within(*DL_RANGE)] = 2.0
    norm: Annotated[float, within(*NORM_RANGE)] = NORM_COULOMB
    remove_self: bool = True


class ChargesConfig(Section):
    """What the latent charges mean.

    Attributes:
        epsilon_inf: high-frequency dielectric constant, or tensor in rows; charges couple to fields
            as its root.
            Default: that of ``init_from``, else 1 (vacuum), which is remarked on.
        sign: of each channel, or ``auto``: by Born charges (else dipoles) in the data, else the
            more electronegative species get the more negative Born charges.
        remove_mean: whether the mean charge is removed in the polarization.
        bec_form: of the Born effective charges, in the loss and in the model file.
        total_charge: ``off``; ``penalty`` (a loss on the sum of charges of each frame, weight
            ``loss.weights.total_charge``; frames without a label have total charge 0); ``exact``
            (the charges of the one channel are shifted alike to sum to it, in the model file too).
    """

    epsilon_inf: Dielectric | None = None
    sign: Literal["auto"] | list[Literal[1, -1]] = "auto"
    remove_mean: bool = True
    bec_form: Literal["local", "phase"] = "local"
    total_charge: Literal["off", "penalty", "exact"] = "off"


class Weights(Section):
    """Weight of the mean square error of each quantity, in inverse squares of its unit.

    The energy counts per atom [eV], forces in eV/A, stress in eV/A^3, Born effective charges in e,
    the dipole in e A, the total charge per atom [e], the polarizability in e A^2/V. A pair moves
    from its first to its second value along an exponential, from the beginning to the end of its
    stage.
    """

    energy: Weight = 1.0
    forces: Weight = 1.0
    stress: Weight = 0.0
    born_effective_charges: Weight = 0.0
    dipole: Weight = 0.0
    total_charge: Weight = 0.0
    polarizability: Weight = 0.0


class StageWeights(Section):
    """Weights that a stage changes; the others stay."""

    energy: Weight | None = None
    forces: Weight | None = None
    stress: Weight | None = None
    born_effective_charges: Weight | None = None
    dipole: Weight | None = None
    total_charge: Weight | None = None
    polarizability: Weight | None = None


class StageConfig(Section):
    """Weights from an epoch on.

    Attributes:
        from_epoch: first epoch of the stage, counted from 0.
        weights: what changes.
    """

    from_epoch: Epochs
    weights: StageWeights


class LossConfig(Section):
    """The loss.

    Attributes:
        kind: ``mse``, or ``huber``: quadratic below ``huber_delta``, linear above.
        huber_delta: in the unit of each quantity.
        weights: at the beginning.
        stages: later weights, in the order of epochs.
    """

    kind: Literal["mse", "huber"] = "mse"
    huber_delta: Factor = 0.1
    weights: Weights = Weights()
    stages: list[StageConfig] = []

    @model_validator(mode="after")
    def _in_order(self) -> "LossConfig":
        epochs = [stage.from_epoch for stage in self.stages]
        if epochs != sorted(set(epochs)):
            raise ValueError(f"stages must follow each other in epochs, got {epochs}")
        return self


class TrainingConfig(Section):
    """How long and how hard to train.

    Attributes:
        epochs: passes over the training structures.
        batch_size: structures a step.
        learning_rate: of AdamW, after a linear warmup; falls as a cosine to ``final_rate`` of
            itself.
        final_rate: see ``learning_rate``.
        warmup: share of all steps.
        weight_decay: of the linear layers.
        gradient_clip: norm to which a gradient is clipped.
        ema_decay: of the exponential moving average of the parameters, which is the result.
        validate_every: epochs between validations; divides ``epochs``.
        patience: validations without improvement after which training stops; default: never.
        accelerator: ``cpu``, ``gpu`` or ``auto``.
        devices: how many.
    """

    epochs: Epochs = 600
    batch_size: Annotated[int, within(1, 100_000)] = 1
    learning_rate: Annotated[float, within(1e-30, 1.0)] = 1e-2
    final_rate: Share = 1e-3
    warmup: Share = 0.02
    weight_decay: Annotated[float, within(0.0, 100.0)] = 0.02
    gradient_clip: Factor = 1.0
    ema_decay: Annotated[float, within(0.0, 0.99999)] = 0.998
    validate_every: Epochs = 1
    patience: Epochs | None = None
    accelerator: Literal["cpu", "gpu", "auto"] = "cpu"
    devices: Annotated[int, within(1, 1024)] = 1

    @model_validator(mode="after")
    def _ends_with_a_validation(self) -> "TrainingConfig":
        if self.epochs % self.validate_every:
            raise ValueError(
                f"validate_every {self.validate_every} must divide epochs {self.epochs}, so "
                "that the last one is validated"
            )
        return self


class RunConfig(Section):
    """The whole configuration.

    Attributes:
        data: what is learned from.
        seed: of the initial weights and of the order of structures.
        dtype: type in which is trained and exported.
        init_from: trained network to start from: a run folder, the name of a model that comes with
            the package, or a checkpoint that can be imported. It brings network, long-range sum
            and atomic energies along.
        init: what is taken of ``init_from``, and what is added.
        freeze: parts of the network that stay as they are, by the beginning of parameter names.
        network: of what ``kind``, with the keys of that kind, which ``lammps_les.models`` explains;
            not together with ``init_from``.
        long_range: not together with ``init_from``, unless that gets charges by ``init``.
        charges, loss, training: see there.
        citation: of data and method; goes into the model file, after it that of ``init_from``.
    """

    data: DataConfig
    seed: Seed = 1
    dtype: Literal["float32", "float64"] = "float32"
    init_from: str | None = None
    init: InitConfig = InitConfig()
    freeze: list[str] = []
    network: NetworkConfig = CaceConfig()
    long_range: LongRangeSection = LongRangeSection()
    charges: ChargesConfig = ChargesConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    citation: str = NO_CITATION

    @model_validator(mode="after")
    def _fits_together(self) -> "RunConfig":
        if self.init_from is not None:
            theirs = {"network"} if self.init.channels else {"network", "long_range"}
            for name in sorted(theirs & self.model_fields_set):
                raise ValueError(f"{name} comes from init_from; leave the section out")
        elif self.freeze or self.init != InitConfig():
            name = "freeze" if self.freeze else "init"
            raise ValueError(f"{name} needs init_from: fresh weights must be trained")
        sign = self.charges.sign
        if self.init_from is None and isinstance(sign, list) and len(sign) != self.network.channels:
            raise ValueError(
                f"charges.sign: expected one for each of {self.network.channels} channels"
            )
        if self.charges.total_charge == "exact" and self.network.channels != 1:
            raise ValueError(
                "charges.total_charge: exact needs network.channels: 1, got "
                f"{self.network.channels}; several channels can share a charge in many ways"
            )
        if self.charges.total_charge == "penalty" and not _ever_positive(self.loss, "total_charge"):
            raise ValueError("charges.total_charge: penalty needs loss.weights.total_charge > 0")
        return self


def _ever_positive(loss: LossConfig, name: str) -> bool:
    values = [getattr(loss.weights, name), *(getattr(s.weights, name) for s in loss.stages)]
    return any(value for value in values)
