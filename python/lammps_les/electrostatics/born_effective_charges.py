"""Born effective charges Z_iab = dP_a / dr_ib from charges and dipoles that atoms gain and lose.

Both forms of FORMAT.md, with q~ the bare charges Q after removal of their mean; the root of
epsilon_inf is applied to the result (``with_dielectric``):

    local:  Z_iab = q~_i d_ab + sum_j (r_j - r_i)_a dQ_j/dr_ib            j over images within reach
    phase:  Z_iab = q~_i d_ab + sum_j w_a(r_j - r_i) dq~_j/dr_ib

and in either form the dipoles add sum_j du_ja/dr_ib.
Index order [atom, P component, r component], unit e. In open boundaries the weight is the
displacement in both forms; they differ there only by the response of the mean charge.
"""

import math

import torch
from torch import Tensor

from lammps_les.electrostatics.polarization import displacement_weight, without_mean


def derivative(output: Tensor, variable: Tensor, create_graph: bool) -> Tensor:
    """d(output)/d(variable) of a scalar, zero where the output does not depend on the variable."""
    if not output.requires_grad:
        return torch.zeros_like(variable)
    gradient = torch.autograd.grad(
        [output], [variable], retain_graph=True, create_graph=create_graph, allow_unused=True
    )[0]
    if gradient is None:
        return torch.zeros_like(variable)
    return gradient


def is_phase_form(form: str) -> bool:
    """Read the name of a form of the Born effective charges.

    Raises:
        RuntimeError: for any name but ``local`` and ``phase``.
    """
    if form == "phase":
        return True
    if form != "local":
        raise RuntimeError("LES: bec must be 'local' or 'phase', but it is '" + form + "'")
    return False


def born_effective_charges_one_layer(
    charges: Tensor,
    edge_vectors: Tensor,
    edge_index: Tensor,
    positions: Tensor,
    cell: Tensor,
    periodic: bool,
    remove_mean: bool,
    form: str = "local",
    create_graph: bool = False,
) -> Tensor:
    """Born effective charges of a one-layer network, by one backward pass.

    There every edge (c, j) belongs to the charge of its center alone, so h_cj = d(sum_i Q_i)/dr_cj
    is dQ_c/dr_cj and gives the whole tensor: Z_jab += w_a(-r_cj) h_cj,b.

    Args:
        charges: [N], Q in e, mean not removed, with their graph.
        edge_vectors: [E, 3] in A, the tensor from which ``charges`` were computed.
        edge_index: [2, E], center and neighbor in the cell.
        positions: [N, 3] in A.
        cell: [3, 3], rows are lattice vectors [A].
        periodic: boundaries.
        remove_mean: whether the mean charge is removed in the polarization.
        form: ``local`` or ``phase``.
        create_graph: keep the result differentiable, for training on it.

    Returns:
        [N, 3, 3] in e.
    """
    phase = is_phase_form(form)
    center, neighbor = edge_index[0], edge_index[1]
    n = charges.size(0)
    h = derivative(charges.sum(), edge_vectors, create_graph)  # [E, 3]
    weight = displacement_weight(-edge_vectors.detach(), cell, phase and periodic)  # [E, 3]
    diagonal = without_mean(charges, remove_mean)
    if not create_graph:
        diagonal = diagonal.detach()
    tensor = diagonal[:, None, None] * torch.eye(3, dtype=charges.dtype, device=charges.device)
    tensor = tensor.index_add(0, neighbor, weight[:, :, None] * h[:, None, :])
    if phase and remove_mean:
        # the mean responds too: dq~_j = dQ_j - d(sum Q)/N for every j
        total = torch.zeros((n, 3), dtype=h.dtype, device=h.device)
        total = total.index_add(0, neighbor, h).index_add(0, center, -h)  # d(sum Q)/dr_i
        r = positions.detach()
        reach = displacement_weight(r[None, :, :] - r[:, None, :], cell, periodic)  # [i, j, a]
        tensor = tensor - reach.mean(dim=1)[:, :, None] * total[:, None, :]
    return tensor


def born_effective_charges(
    charges: Tensor,
    node_positions: Tensor,
    owner: Tensor,
    cell: Tensor,
    periodic: bool,
    remove_mean: bool,
    form: str = "local",
    create_graph: bool = False,
    dipoles: Tensor | None = None,
) -> Tensor:
    """Born effective charges of any network, on the unfolded graph (``unfold``).

    With G[f] = d(sum_i Q_i f(r_i))/dr of every node, the sum over the atoms j of the cell at fixed
    f, the parts of the sum factorise:

        local:  sum_j (r_j - r)_a dQ_j/dr = G[r_a] - r_a G[1]
        phase:  sum_j sin(t_j - t) dq~_j/dr = cos(t) G[sin t] - sin(t) G[cos t],  t = 2 pi s_m

    and images add up to the atom that owns them: a shift of cell and atom together changes nothing.

    Args:
        charges: [N], Q in e, mean not removed, with their graph.
        node_positions: [M, 3] in A, unwrapped, from which ``charges`` were computed; the first N
            are the atoms, also for what of the charges and dipoles comes through the long-range
            sum.
        owner: [M], int64, the atom that each node is an image of.
        cell: [3, 3], rows are lattice vectors [A].
        periodic: boundaries.
        remove_mean: whether the mean charge is removed in the polarization.
        form: ``local`` or ``phase``.
        create_graph: keep the result differentiable, for training on it.
        dipoles: [N, 3] in e A, with their graph, or None.

    Returns:
        [N, 3, 3] in e.
    """
    phase = is_phase_form(form)
    n = charges.size(0)
    cell = cell.detach()
    nodes = node_positions.detach()  # [M, 3]
    neutral = without_mean(charges, remove_mean)
    responding = neutral if phase else charges
    per_node = torch.zeros((nodes.size(0), 3, 3), dtype=charges.dtype, device=charges.device)
    if phase and periodic:
        angle = 2.0 * math.pi * (nodes @ torch.linalg.inv(cell))  # [M, m]
        for m in range(3):
            sin, cos = torch.sin(angle[:, m]), torch.cos(angle[:, m])
            g_sin = derivative((responding * sin[:n]).sum(), node_positions, create_graph)
            g_cos = derivative((responding * cos[:n]).sum(), node_positions, create_graph)
            along_m = (cos[:, None] * g_sin - sin[:, None] * g_cos) / (2.0 * math.pi)  # [M, b]
            per_node = per_node + cell[m][None, :, None] * along_m[:, None, :]
    else:
        g_one = derivative(responding.sum(), node_positions, create_graph)  # [M, b]
        rows: list[Tensor] = []
        for a in range(3):
            g_r = derivative((responding * nodes[:n, a]).sum(), node_positions, create_graph)
            rows.append(g_r - nodes[:, a : a + 1] * g_one)
        per_node = torch.stack(rows, dim=1)  # [M, a, b]
    if dipoles is not None:
        total = dipoles.sum(dim=0)
        of_dipoles = [derivative(total[a], node_positions, create_graph) for a in range(3)]
        per_node = per_node + torch.stack(of_dipoles, dim=1)
    if not create_graph:
        neutral = neutral.detach()
    tensor = neutral[:, None, None] * torch.eye(3, dtype=charges.dtype, device=charges.device)
    return tensor.index_add(0, owner, per_node)
