"""The model file: what its metadata must say, and reading it (FORMAT.md, format version 1)."""

import json
import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FORMAT_VERSION = 1
METADATA_FILE = "lammps_les.json"
DTYPES = {"float32": torch.float32, "float64": torch.float64}
BecForm = Literal["local", "phase"]
PROVENANCE_KEYS = ("source", "sha256", "program", "version", "date", "citation")

_Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class ModelFileError(ValueError):
    """A model file, or metadata for one, that does not follow FORMAT.md."""


class Metadata(BaseModel):
    """Metadata of a model file; meaning and units of the fields stand in FORMAT.md."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    format_version: Literal[1]
    species: Annotated[list[str], Field(min_length=1)]
    cutoff: _Positive
    layers: Annotated[int, Field(ge=1)]
    dtype: Literal["float32", "float64"]
    channels: Annotated[int, Field(ge=0)]
    sigma: _Positive
    dl: _Positive
    norm: _Finite
    remove_self: bool
    self_factor: _Finite
    open_shift: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    charge_unit: _Positive
    charge_sign: list[Annotated[float, Field(allow_inf_nan=False)]]
    total_charge: _Finite | None = None
    epsilon_inf: _Positive
    remove_mean: bool
    bec_form: BecForm = "local"
    bec_fitted: bool = False
    atomic_energies: dict[str, _Finite]
    atomic_masses: dict[str, _Positive] = Field(default_factory=dict)
    provenance: dict[str, str]

    @property
    def coupling_is_known(self) -> bool:
        """Whether the charges couple to a field in a way that something has settled.

        Energies are even in the charges of each channel, so they do not say how several channels
        add up to one response; Born effective charges among the labels do.
        """
        return self.channels <= 1 or self.bec_fitted

    @model_validator(mode="after")
    def _consistent(self) -> "Metadata":
        if len(set(self.species)) != len(self.species):
            raise ValueError(f"species: a symbol stands twice in {self.species}")
        if len(self.charge_sign) != self.channels:
            raise ValueError(
                f"charge_sign: expected one sign for each of {self.channels} channels, "
                f"got {len(self.charge_sign)}"
            )
        if any(sign not in (1.0, -1.0) for sign in self.charge_sign):
            raise ValueError(f"charge_sign: expected +1 or -1, got {self.charge_sign}")
        if self.total_charge is not None and self.channels != 1:
            raise ValueError(
                "total_charge: the charges of one channel can be shifted to a total charge; "
                f"the model has {self.channels} channels"
            )
        without = [symbol for symbol in self.species if symbol not in self.atomic_energies]
        if without:
            raise ValueError(f"atomic_energies: no value for {', '.join(without)}")
        absent = [key for key in PROVENANCE_KEYS if key not in self.provenance]
        if absent:
            raise ValueError(f"provenance: no value for {', '.join(absent)}")
        return self

    @property
    def charge_state(self) -> float | None:
        """Total charge [e] of the systems that the model is for; None where it does not matter."""
        if self.total_charge is not None:
            return self.total_charge
        embedded = self.provenance.get("embedded_total_charge")
        return None if embedded is None else float(embedded)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The torch type that ``dtype`` names."""
        return DTYPES[self.dtype]


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
    if version is not None and (version != FORMAT_VERSION or version is True):
        raise ModelFileError(
            f"{where} has format version {version!r}; this program reads version {FORMAT_VERSION}. "
            "Update lammps-les, or export the model again with the lammps-les installed here"
        )
    try:
        return Metadata.model_validate(fields)
    except ValidationError as error:
        problems = []
        for detail in error.errors():
            name = ".".join(str(part) for part in detail["loc"])
            if detail["type"] == "missing":
                problems.append(f"field '{name}' is missing")
            elif name:
                problems.append(f"field '{name}': {detail['msg']}, got {detail['input']!r}")
            else:
                problems.append(detail["msg"].removeprefix("Value error, "))
        raise ModelFileError(
            f"{where} does not follow format version {FORMAT_VERSION}: {'; '.join(problems)}. "
            "Export the model again"
        ) from None


def read_metadata(path: str | Path) -> Metadata:
    """Read and check the metadata of a model file without loading its network.

    Raises:
        ModelFileError: the file is missing, truncated, of another kind, or not understood.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"model file {path} does not exist")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            entries = [name for name in names if name.endswith(f"/extra/{METADATA_FILE}")]
            if not entries:
                if any(name.endswith("/data.pkl") for name in names):
                    kind = "a PyTorch file, but not a lammps-les model file"
                else:
                    kind = "an archive, but not a lammps-les model file"
                raise ModelFileError(
                    f"{path} is {kind}: {METADATA_FILE} is not in it. "
                    "Make a model file with `lammps-les export`"
                )
            text = archive.read(entries[0]).decode()
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError) as error:
        raise ModelFileError(
            f"{path} is no readable TorchScript archive, it may be truncated ({error}). "
            "Copy it again, or make a model file with `lammps-les export`"
        ) from None
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelFileError(f"{METADATA_FILE} in {path} is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ModelFileError(f"{METADATA_FILE} in {path}: expected an object, got {fields!r}")
    return parse_metadata(fields, f"model file {path}")


def load_model(
    path: str | Path, device: str | torch.device = "cpu"
) -> tuple[torch.jit.ScriptModule, Metadata]:
    """Load a model file: the module with methods ``latents`` and ``forward``, and its metadata.

    Raises:
        ModelFileError: as ``read_metadata``; also where the module cannot be loaded, lacks a method
            of FORMAT.md, or gives outputs that this version does not know.
    """
    metadata = read_metadata(path)
    try:
        module = torch.jit.load(str(path), map_location=device)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelFileError(f"model file {path} cannot be loaded: {reason}") from None
    for method in ("latents", "forward"):
        if not hasattr(module, method):
            raise ModelFileError(
                f"model file {path} has no method '{method}' (FORMAT.md). Export the model again"
            )
    module.eval()
    _check_outputs(path, module, metadata)
    return module, metadata


def _check_outputs(path: str | Path, module: torch.jit.ScriptModule, metadata: Metadata) -> None:
    """Ask the network for no atoms, and see whether it answers as FORMAT.md says."""
    device = next(module.buffers()).device
    none = torch.zeros((2, 0), dtype=torch.int64, device=device)
    edges = torch.zeros((0, 3), dtype=metadata.torch_dtype, device=device)
    try:
        latent = module.latents(edges, none, none[0], 0)
    except torch.jit.Error as error:
        reason = str(error).strip().splitlines()[-1]
        raise ModelFileError(f"model file {path} fails without atoms: {reason}") from None
    expected = {"energy": (0,), "charge": (0, metadata.channels)}
    if set(latent) != set(expected):
        raise ModelFileError(
            f"model file {path} gives {', '.join(sorted(latent))}; this program knows "
            f"{', '.join(sorted(expected))}. Update lammps-les"
        )
    for name, shape in expected.items():
        value = latent[name]
        if tuple(value.shape) != shape or value.dtype != metadata.torch_dtype:
            raise ModelFileError(
                f"model file {path}: '{name}' of no atoms should be {metadata.dtype} of shape "
                f"{list(shape)}, got {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
            )
