"""Which modules a MACE model may consist of, by place: whatever else is in a file is refused."""

from typing import Any

from lammps_les_export.adapters.imported import quoted, refuse_unless
from lammps_les_export.unpickler import Stub

BLOCKS = "mace.modules.blocks."
RADIAL = "mace.modules.radial."
INTERACTIONS = {
    f"{BLOCKS}RealAgnosticInteractionBlock": (False, False),
    f"{BLOCKS}RealAgnosticResidualInteractionBlock": (True, False),
    f"{BLOCKS}RealAgnosticDensityInteractionBlock": (False, True),
    f"{BLOCKS}RealAgnosticDensityResidualInteractionBlock": (True, True),
}
"""Whether they are residual, and whether they divide by a density."""
MODELS = (
    "mace.modules.models.MACE",
    "mace.modules.models.ScaleShiftMACE",
    "mace.modules.models.MACELES",
    "mace.modules.extensions.MACELES",
)

_LINEAR = "e3nn.o3._linear.Linear"
_PRODUCT = "e3nn.o3._tensor_product."
_FULL = "e3nn.nn._fc.FullyConnectedNet"
_ACTIVATION = "e3nn.math._normalize_activation.normalize2mom"
_CONTRACTION = "mace.modules.symmetric_contraction."
_CODE = "torch.fx.graph_module.reduce_graph_module"
_LISTS = ("torch.nn.modules.container.ModuleList", "torch.nn.modules.container.Sequential")
_READOUTS = (f"{BLOCKS}LinearReadoutBlock", f"{BLOCKS}NonLinearReadoutBlock")

_MODEL: dict[str, tuple[str, ...]] = {
    "node_embedding": (f"{BLOCKS}LinearNodeEmbeddingBlock",),
    "radial_embedding": (f"{BLOCKS}RadialEmbeddingBlock",),
    "spherical_harmonics": ("e3nn.o3._spherical_harmonics.SphericalHarmonics",),
    "atomic_energies_fn": (f"{BLOCKS}AtomicEnergiesBlock",),
    "interactions.*": tuple(INTERACTIONS),
    "products.*": (f"{BLOCKS}EquivariantProductBasisBlock",),
    "readouts.*": _READOUTS,
    "scale_shift": (f"{BLOCKS}ScaleShiftBlock",),
    "pair_repulsion_fn": (f"{RADIAL}ZBLBasis",),
    "les": ("les.les.Les",),
    "les_readouts.*": _READOUTS,
}
_INTERACTION = {
    "linear_up": (_LINEAR,),
    "conv_tp": (f"{_PRODUCT}_tensor_product.TensorProduct",),
    "conv_tp_weights": (_FULL,),
    "linear": (_LINEAR,),
    "skip_tp": (f"{_PRODUCT}_sub.FullyConnectedTensorProduct",),
    "reshape": ("mace.modules.irreps_tools.reshape_irreps",),
}
_PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(MODELS, _MODEL),
    **{
        kind: {**_INTERACTION, **({"density_fn": (_FULL,)} if density else {})}
        for kind, (_, density) in INTERACTIONS.items()
    },
    f"{BLOCKS}LinearNodeEmbeddingBlock": {"linear": (_LINEAR,)},
    f"{BLOCKS}RadialEmbeddingBlock": {
        "bessel_fn": (f"{RADIAL}BesselBasis", f"{RADIAL}GaussianBasis"),
        "cutoff_fn": (f"{RADIAL}PolynomialCutoff",),
        "distance_transform": (f"{RADIAL}AgnesiTransform", f"{RADIAL}SoftTransform"),
    },
    f"{BLOCKS}EquivariantProductBasisBlock": {
        "symmetric_contractions": (f"{_CONTRACTION}SymmetricContraction",),
        "linear": (_LINEAR,),
    },
    f"{_CONTRACTION}SymmetricContraction": {"contractions.*": (f"{_CONTRACTION}Contraction",)},
    f"{_CONTRACTION}Contraction": {
        "contractions_weighting.*": (_CODE,),
        "contractions_features.*": (_CODE,),
        "weights": ("torch.nn.modules.container.ParameterList",),
        "graph_opt_main": (_CODE,),
    },
    f"{BLOCKS}LinearReadoutBlock": {"linear": (_LINEAR,)},
    f"{BLOCKS}NonLinearReadoutBlock": {
        "linear_1": (_LINEAR,),
        "non_linearity": ("e3nn.nn._activation.Activation",),
        "linear_2": (_LINEAR,),
    },
    "e3nn.nn._activation.Activation": {"acts.*": (_ACTIVATION,)},
    _FULL: {f"layer{index}": ("e3nn.nn._fc._Layer",) for index in range(10)},
    "e3nn.nn._fc._Layer": {"act": (_ACTIVATION,)},
    _ACTIVATION: {"f": ("torch.nn.modules.activation.SiLU",)},
    "les.les.Les": {
        "atomwise": ("les.les._DummyAtomwise", "les.module.atomwise.Atomwise"),
        "ewald": ("les.module.ewald.Ewald",),
        "bec": ("les.module.bec.BEC",),
    },
}
"""Kinds of the children of a kind by their names; ``name.*`` is a list of such."""


def _is_empty_list(part: Any) -> bool:
    return isinstance(part, Stub) and part.kind in _LISTS and not part.state.get("_modules")


def refuse_other_parts(module: Stub, path: str = "") -> None:
    """Refuse a model with a module that is not of the kind that is known in its place.

    Args:
        module: the model, or the part at ``path``.
        path: names of parts from the model on, with points between them.
    """
    known = _PARTS.get(module.kind, {})
    for name, part in (module.state.get("_modules") or {}).items():
        if part is None or _is_empty_list(part):
            continue
        place = f"{path}.{name}".removeprefix(".")
        is_list = f"{name}.*" in known
        refuse_unless(
            is_list or name in known,
            f"{path or 'the model'} has the part {name} ({_kind(part)}), which has no counterpart "
            "here",
        )
        _expect_kind(part, place, _LISTS if is_list else known[name])
        if not is_list:
            refuse_other_parts(part, place)
            continue
        for index, item in (part.state.get("_modules") or {}).items():
            _expect_kind(item, f"{place}.{index}", known[f"{name}.*"])
            refuse_other_parts(item, f"{place}.{index}")


def _expect_kind(part: Any, place: str, kinds: tuple[str, ...]) -> None:
    names = ", ".join(kind.rpartition(".")[2] for kind in kinds)
    refuse_unless(
        isinstance(part, Stub) and part.kind in kinds,
        f"{place} is a {_kind(part)}; supported: {names}",
    )


def _kind(part: Any) -> str:
    return part.kind if isinstance(part, Stub) else quoted(part)
