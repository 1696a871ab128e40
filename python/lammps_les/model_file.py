"""The model file: what its metadata must say, and reading it (FORMAT.md, format version 2)."""

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import to_jsonable_python

from lammps_les import _core  # needs torch loaded before it
from lammps_les._core import ModelFileError
from lammps_les.ranges import Range, integer

FORMAT_VERSION = 2
METADATA_FILE = "lammps_les.json"
DTYPES = {"float32": torch.float32, "float64": torch.float64}
LATENT_SHAPES: dict[str, tuple[int, ...]] = {
    "charge": (),
    "dipole": (3,),
    "quadrupole": (3, 3),
    "kappa": (),
    "alpha": (3, 3),
}
"""Latent variables that a network may give, in this order, and their shape after [n, channels]."""
BecForm = Literal["local", "phase"]
PROVENANCE_KEYS = ("source", "sha256", "program", "version", "date", "citation")


DIELECTRIC_RANGE = (0.1, 1000.0)
SIGMA_RANGE, DL_RANGE = (0.1, 20.0), (0.1, 50.0)  # A
NORM_RANGE = (1e-20, 1e6)  # eV A per file unit squared
TOTAL_CHARGE_RANGE = (-1e4, 1e4)  # e
ATOMIC_ENERGY_RANGE = (-1e7, 1e7)  # eV


def checked_dielectric(value: Any) -> Any:
    """The value as it is, which should be a number > 0 or a symmetric positive definite matrix.

    Raises:
        ValueError: it is neither, or beyond ``DIELECTRIC_RANGE``.
    """
    low, high = DIELECTRIC_RANGE
    number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        matrix = torch.tensor([[value]] if number else value, dtype=torch.float64)
        sound = bool(matrix.abs().max() <= high) and bool(
            torch.linalg.eigvalsh(matrix)[0] >= low * (1.0 - 1e-9)
        )
        if sound and (number or (matrix.shape == (3, 3) and torch.equal(matrix, matrix.T))):
            return value
    except (TypeError, ValueError, RuntimeError, OverflowError):
        pass
    raise ValueError(
        f"expected a number from {low:g} to {high:g} or a symmetric positive definite 3 x 3 matrix "
        "with such eigenvalues"
    )


_Width = Annotated[int, Range(0, 1e6)]
Dielectric = Annotated[float | list[list[float]], BeforeValidator(checked_dielectric)]
"""epsilon_inf: a number, or a symmetric positive definite matrix in rows."""


class Section(BaseModel):
    """Metadata, or a part of them; meaning and units of the fields stand in FORMAT.md."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Network(Section):
    """``network`` of the metadata: what the network takes, and how it is cut."""

    species: Annotated[list[str], Field(min_length=1)]
    cutoff: Annotated[float, Range(0.5, 50.0, " A")]
    layers: Annotated[int, Range(1, 100)]
    kept: list[_Width]
    sent: list[_Width]
    dtype: Literal["float32", "float64"]
    kind: str = ""
    config: dict[str, Any] = Field(default_factory=dict)

    @property
    def pieces(self) -> int:
        """L, number of pieces; that of the layers, or 1."""
        return len(self.sent) + 1

    @property
    def torch_dtype(self) -> torch.dtype:
        """The torch type that ``dtype`` names."""
        return DTYPES[self.dtype]


class LongRange(Section):
    """``long_range`` of the metadata: the long-range sum."""

    sigma: Annotated[float, Range(*SIGMA_RANGE, " A")]
    dl: Annotated[float, Range(*DL_RANGE, " A")]
    norm: Annotated[float, Range(*NORM_RANGE, " eV A per file unit squared")]
    remove_self: bool
    self_factor: Annotated[float, Range(0.0, 1000.0)]
    open_shift: Annotated[float, Range(0.0, 1.0, " A")] = 0.0


class Charges(Section):
    """``charges`` of the metadata: the latent charges."""

    channels: Annotated[int, Range(0, 1000)]
    unit: Annotated[float, Range(1e-6, 1e6, " e")]
    sign: list[float]
    total: Annotated[float, Range(*TOTAL_CHARGE_RANGE, " e")] | None = None


class Response(Section):
    """``response`` of the metadata: how the latents couple to a field, and answer it."""

    epsilon_inf: Dielectric
    remove_mean: bool
    bec_form: BecForm = "local"
    bec_fitted: bool = False
    epsilon_e: Dielectric | None = None
    alpha_rank: Annotated[Literal[0, 2], BeforeValidator(integer)] = 2
    susceptibility: Annotated[float, Range(0.0, 1.0)] | None = None
    softness: Annotated[float, Range(0.0, 1e6, " unit^2/(eV A^3)")] | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what a model of charges alone has no use for."""
        left_out = {"epsilon_e": None, "alpha_rank": 2, "susceptibility": None, "softness": None}
        fields: dict[str, Any] = handler(self)
        return {n: v for n, v in fields.items() if n not in left_out or v != left_out[n]}


class Metadata(Section):
    """Metadata of a model file; meaning and units of the fields stand in FORMAT.md."""

    format_version: Literal[2]
    network: Network
    latents: list[str]
    long_range: LongRange
    charges: Charges
    response: Response
    atomic_energies: dict[str, Annotated[float, Range(*ATOMIC_ENERGY_RANGE, " eV")]]
    atomic_masses: dict[str, Annotated[float, Range(0.01, 1000.0, " g/mol")]] = Field(
        default_factory=dict
    )
    provenance: dict[str, str]

    @model_validator(mode="after")
    def _consistent(self) -> "Metadata":
        network, charges = self.network, self.charges
        if len(set(network.species)) != len(network.species):
            raise ValueError(f"network.species: a symbol stands twice in {network.species}")
        if not all(re.fullmatch("[!-~]{1,20}", symbol) for symbol in network.species):
            raise ValueError(
                "network.species: expected symbols of 1 to 20 printable characters, "
                f"got {network.species}"
            )
        if len(network.kept) != len(network.sent):
            raise ValueError(
                "network: kept and sent should be of one length, got "
                f"{network.kept} and {network.sent}"
            )
        if network.pieces not in (1, network.layers):
            raise ValueError(
                f"network: {network.layers} layers have {network.layers - 1} cuts or none, but "
                f"sent is {network.sent}"
            )
        unknown = [name for name in self.latents if name not in LATENT_SHAPES]
        if unknown:
            raise ValueError(
                f"latents: the network gives {', '.join(unknown)}; this program knows "
                f"{', '.join(LATENT_SHAPES)}. Update lammps-les"
            )
        expected = [name for name in LATENT_SHAPES if name in ("charge", *self.latents)]
        if self.latents != (expected if charges.channels > 0 else []):
            raise ValueError(
                f"latents: expected {expected if charges.channels > 0 else []} with "
                f"{charges.channels} charge channels, got {self.latents}"
            )
        if len(self.latents) > 1 and self.long_range.open_shift != 0.0:
            raise ValueError(
                f"long_range.open_shift: expected 0 with {', '.join(self.latents[1:])}, "
                f"got {self.long_range.open_shift}"
            )
        if len(charges.sign) != charges.channels:
            raise ValueError(
                f"charges.sign: expected one sign for each of {charges.channels} channels, "
                f"got {len(charges.sign)}"
            )
        if any(sign not in (1.0, -1.0) for sign in charges.sign):
            raise ValueError(f"charges.sign: expected +1 or -1, got {charges.sign}")
        if charges.total is not None and charges.channels != 1:
            raise ValueError(
                "charges.total: the charges of one channel can be shifted to a total charge; "
                f"the model has {charges.channels} channels"
            )
        without = [symbol for symbol in network.species if symbol not in self.atomic_energies]
        if without:
            raise ValueError(f"atomic_energies: no value for {', '.join(without)}")
        absent = [key for key in PROVENANCE_KEYS if key not in self.provenance]
        if absent:
            raise ValueError(f"provenance: no value for {', '.join(absent)}")
        embedded = self.provenance.get("embedded_total_charge", "0")
        if not _is_number(embedded):
            raise ValueError(
                f"provenance.embedded_total_charge: expected a number, got {embedded!r}"
            )
        return self

    @property
    def coupling_epsilon(self) -> Dielectric:
        """The dielectric constant or tensor whose root latents get in a field."""
        epsilon_e = self.response.epsilon_e
        if epsilon_e is not None and "alpha" in self.latents:
            return epsilon_e
        return self.response.epsilon_inf

    @property
    def coupling_is_known(self) -> bool:
        """Whether the charges couple to a field in a way that something has settled.

        Energies are even in the charges of each channel, so they do not say how several channels
        add up to one response; Born effective charges among the labels do.
        """
        return self.charges.channels <= 1 or self.response.bec_fitted

    @property
    def charge_state(self) -> float | None:
        """Total charge [e] of the systems that the model is for; None where it does not matter."""
        if self.charges.total is not None:
            return self.charges.total
        embedded = self.provenance.get("embedded_total_charge")
        return None if embedded is None else float(embedded)


def output_shapes(metadata: Metadata, n: int) -> dict[str, tuple[int, ...]]:
    """Shapes of what ``latents`` of a model file gives for n atoms, by name."""
    channels, rank = metadata.charges.channels, metadata.response.alpha_rank
    shapes = {"energy": (n,), "charge": (n, channels)}
    for name in metadata.latents:
        a_number = name == "alpha" and rank == 0
        shapes[name] = (n, channels, *(() if a_number else LATENT_SHAPES[name]))
    return shapes


def metadata_text(metadata: Metadata) -> str:
    """The metadata as they stand in a model file."""
    return json.dumps(metadata.model_dump(), indent=2, allow_nan=False) + "\n"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def network_section(network: torch.nn.Module, dtype: str) -> dict[str, Any]:
    """What ``network`` of the metadata says of a network that is to run in ``dtype``.

    Args:
        network: with attributes ``species``, ``cutoff``, ``layers``, ``kept``, ``sent`` and, where
            it has them, ``kind`` and ``config``.
        dtype: ``float32`` or ``float64``.
    """
    fields: dict[str, Any] = {name: getattr(network, name) for name in ("cutoff", "layers")}
    lists = {name: list(getattr(network, name)) for name in ("species", "kept", "sent")}
    config = {**(to_jsonable_python(getattr(network, "config", None)) or {})}
    kind = config.pop("kind", getattr(network, "kind", ""))
    return fields | lists | {"dtype": dtype, "kind": kind, "config": config}


def parse_metadata(fields: dict[str, Any], where: str) -> Metadata:
    """Check metadata fields against FORMAT.md.

    Args:
        fields: the fields of FORMAT.md by name; unknown ones are ignored.
        where: what the fields come from, for the error text.

    Raises:
        ModelFileError: unknown version, missing field, wrong type or value; says what was expected,
            what came, and what to do.
    """
    version = fields.get("format_version")
    if version is not None and (version != FORMAT_VERSION or type(version) is not int):
        raise ModelFileError(
            f"{where} has format version {version!r}; this program reads version {FORMAT_VERSION}. "
            + _way_out(version, fields)
        )
    try:
        return Metadata.model_validate(fields)
    except ValidationError as error:
        problems = []
        for detail in error.errors():
            name = ".".join(str(part) for part in detail["loc"])
            text = detail["msg"].removeprefix("Value error, ")
            if detail["type"] == "missing":
                problems.append(f"field '{name}' is missing")
            elif name:
                problems.append(f"field '{name}': {text}, got {detail['input']!r}")
            else:
                problems.append(text)
        raise ModelFileError(
            f"{where} does not follow format version {FORMAT_VERSION}: {'; '.join(problems)}. "
            "Export the model again"
        ) from None


def _way_out(version: Any, fields: dict[str, Any]) -> str:
    """What to do about another version."""
    if version != 1:
        return "Update lammps-les, or export the model again with the lammps-les installed here"
    provenance = fields.get("provenance")
    source = provenance.get("source") if isinstance(provenance, dict) else None
    of = f" (this one was made of {source})" if source else ""
    return f"Make a new file with `lammps-les export SOURCE -o FILE`{of}"


def read_metadata(path: str | Path) -> Metadata:
    """Read and check a model file without loading its network.

    Raises:
        ModelFileError: the file cannot be read, is damaged, of another kind, or not understood;
            its metadata contradict its network.
    """
    return metadata_of_text(_core.read_metadata(str(path)), path)


def metadata_of_text(text: str, path: str | Path) -> Metadata:
    """The metadata that ``_core`` has read from a model file and checked."""
    return parse_metadata(json.loads(text), f"model file {path}")


def load_model(
    path: str | Path, device: str | torch.device = "cpu"
) -> tuple[torch.jit.ScriptModule, Metadata]:
    """Load a model file: the module with the methods of FORMAT.md, and its metadata.

    Raises:
        ModelFileError: as ``read_metadata``; also where the module cannot be loaded, lacks a method
            of FORMAT.md, or gives outputs that this version does not know.
    """
    metadata = read_metadata(path)
    try:
        module = torch.jit.load(str(path), map_location=device)
    except (RuntimeError, UnicodeDecodeError) as error:  # the latter of torch's own message
        reason = str(error).strip().splitlines()[0]
        raise ModelFileError(f"model file {path} cannot be loaded: {reason}") from None
    for method in ("piece", "latents"):
        if not hasattr(module, method):
            raise ModelFileError(
                f"model file {path} has no method '{method}' (FORMAT.md). Export the model again"
            )
    module.eval()
    _check_outputs(path, module, metadata, torch.device(device))
    return module, metadata


def _check_outputs(
    path: str | Path, module: torch.jit.ScriptModule, metadata: Metadata, device: torch.device
) -> None:
    """Ask the network for no atoms, and see whether it answers as FORMAT.md says."""
    dtype = metadata.network.torch_dtype
    none = torch.zeros((2, 0), dtype=torch.int64, device=device)
    edges = torch.zeros((0, 3), dtype=dtype, device=device)
    try:
        latent = module.latents(edges, none, none[0], 0)
    except torch.jit.Error as error:
        reason = str(error).strip().splitlines()[-1]
        raise ModelFileError(f"model file {path} fails without atoms: {reason}") from None
    expected = output_shapes(metadata, 0)
    if set(latent) != set(expected):
        raise ModelFileError(
            f"model file {path} gives {', '.join(sorted(latent))}; this program knows "
            f"{', '.join(sorted(expected))}. Update lammps-les"
        )
    for name, shape in expected.items():
        value = latent[name]
        if tuple(value.shape) != shape or value.dtype != dtype:
            raise ModelFileError(
                f"model file {path}: '{name}' of no atoms should be {metadata.network.dtype} of "
                f"shape {list(shape)}, got {str(value.dtype).removeprefix('torch.')} "
                f"{list(value.shape)}"
            )
