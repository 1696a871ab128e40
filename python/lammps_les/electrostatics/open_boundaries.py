"""Pair sum of smeared sources in open boundaries."""

import math

import torch
from torch import Tensor

from lammps_les.electrostatics.parameters import LongRangeParameters, own_fields


def radial_functions(
    distances: Tensor, parameters: LongRangeParameters, count: int
) -> list[Tensor]:
    """B_0 ... B_(count-1) of B_0 = (N/2pi) erf(r / (sqrt2 sigma)) / r, B_n = -(1/r) dB_(n-1)/dr.

    The recursion upwards loses digits at short distances: in float64, of which there are enough,
    about 1e-12 of B_5 at 1 A.

    Args:
        distances: r in A, not zero.
        parameters: of the model; ``open_shift`` counts where B_0 alone is asked for.
        count: how many.
    """
    prefactor = parameters.norm / (2.0 * math.pi)
    a = 1.0 / (math.sqrt(2.0) * parameters.sigma)
    erf = torch.erf(a * distances)
    if count == 1:
        return [prefactor * erf / (distances + parameters.open_shift)]
    if parameters.open_shift != 0.0:
        raise RuntimeError("LES: open_shift is for charges alone; it must be 0 with multipoles")
    functions = [prefactor * erf / distances]
    gaussian = prefactor / (a * math.sqrt(math.pi)) * torch.exp(-((a * distances) ** 2))
    for n in range(1, count):
        below = functions[n - 1]
        functions.append(
            ((2 * n - 1) * below - (2.0 * a * a) ** n * gaussian) / (distances * distances)
        )
    return functions


def open_fields(positions: Tensor, sources: Tensor, parameters: LongRangeParameters) -> Tensor:
    """K s = dE/ds of E = 1/2 <s, K s> without boundaries: no own field, unless it is kept.

    With x = r_i - r_j, and of atom j a = u.x, c = Q x, b = c.x (channels do not mix):

    phi_i = sum_j q B0 + a B1 + 1/2 b B2
    g_i = sum_j u B1 + c B2 - x (q B1 + a B2 + 1/2 b B3)
    1/2 H_i = sum_j x x (1/2 q B2 + 1/2 a B3 + 1/4 b B4) + 1/2 Q B2 - sym(x (u B2 + c B3))

    Args:
        positions: [N, 3] in A, no two atoms in one place.
        sources: [N, C, M], of ``packed_sources``.
        parameters: of the model; ``dl`` and ``self_factor`` mean nothing here.

    Returns:
        [N, C, M], eV per unit of the source.
    """
    components, dtype = sources.size(2), sources.dtype
    positions, sources = positions.double(), sources.double()
    x = positions[:, None, :] - positions[None, :, :]  # [i, j, 3]
    itself = torch.eye(positions.size(0), dtype=x.dtype, device=x.device)
    distances = torch.sqrt((x * x).sum(dim=2) + itself)
    functions = radial_functions(distances, parameters, 1 if components == 1 else 5)
    B = [(1.0 - itself) * function for function in functions]  # [i, j] each
    q = sources[:, :, 0]  # [j, c]
    if components == 1:
        fields = (B[0] @ q)[:, :, None]
    else:
        u = sources[:, :, 1:4]  # [j, c, 3]
        Q = torch.nn.functional.pad(sources[:, :, 4:], [0, 13 - components]).unflatten(2, [3, 3])
        a = torch.einsum("jca,ija->ijc", u, x)
        c = torch.einsum("jcab,ijb->ijca", Q, x)
        b = torch.einsum("ijca,ija->ijc", c, x)
        B1, B2, B3, B4 = [function[:, :, None] for function in B[1:]]
        phi = B[0] @ q + (a * B1 + 0.5 * b * B2).sum(dim=1)
        along = q * B1 + a * B2 + 0.5 * b * B3  # [i, j, c]
        across = u * B1[:, :, :, None] + c * B2[:, :, :, None]  # [i, j, c, 3]
        g = across.sum(dim=1) - torch.einsum("ijc,ija->ica", along, x)
        along = 0.5 * (q * B2 + a * B3) + 0.25 * b * B4
        across = u * B2[:, :, :, None] + c * B3[:, :, :, None]
        half = torch.einsum("ijc,ija,ijb->icab", along, x, x)
        half = half + 0.5 * torch.einsum("ij,jcab->icab", B[2], Q)
        dyad = torch.einsum("ija,ijcb->icab", x, across)
        half = half - 0.5 * (dyad + dyad.transpose(2, 3))
        fields = torch.cat([phi[:, :, None], g, half.flatten(2)], dim=2)[:, :, :components]
    if not parameters.remove_self:
        fields = fields + own_fields(sources, parameters)
    return fields.to(dtype)
