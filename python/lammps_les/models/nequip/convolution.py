"""One layer: messages, their sums, and gates."""

import math

import torch
from torch import Tensor, nn

from lammps_les.models.nequip.paths import LayerIrreps
from lammps_les.models.nequip.perceptron import Linear, Perceptron, unit_weights
from lammps_les.models.o3.activation import unit_silu
from lammps_les.models.o3.coupling import wigner_3j


def unit_tanh(x: Tensor) -> Tensor:
    """Likewise tanh."""
    return 1.5937334472592695 * torch.tanh(x)


class Convolution(nn.Module):
    """Tensors of atoms to those of the next layer.

    A message from j over the path p is R_p(r) (f_j x Y_l) with the tensor product by 3j symbols;
    sums over neighbors are mixed, the atom's own tensors are added, and scalars pass through
    nonlinear functions while tensors are multiplied by such scalars.

    Args:
        irreps: tensors of the layer.
        n_bessel: radial functions before the perceptron.
        radial_hidden: its hidden layers.
        n_species: number of elements.
        keeps: whether an atom's own tensors are added.

    Attributes:
        n_kept, n_sent: how many numbers ``leave`` gives for the atom itself and for neighbors.
    """

    table: Tensor
    own_before: list[int]  # annotated because they may be empty
    own_message: list[int]
    kept_widths: list[int]

    def __init__(
        self,
        irreps: LayerIrreps,
        n_bessel: int,
        radial_hidden: tuple[int, ...],
        n_species: int,
        keeps: bool,
    ) -> None:
        super().__init__()
        before, messages, after = irreps.before, irreps.messages, irreps.after
        self.up = nn.ModuleList(Linear(n, n) for n, _, _ in before)
        self.sizes = [2 * l + 1 for _, l, _ in before]
        self.sent_widths = [n * (2 * l + 1) for n, l, _ in before]
        self.n_sent = sum(self.sent_widths)

        self.sender = [path.sender for path in irreps.paths]
        self.order = [path.order for path in irreps.paths]
        self.message = [path.message for path in irreps.paths]
        self.path_widths = [before[path.sender].multiplicity for path in irreps.paths]
        self.radial = Perceptron(n_bessel, radial_hidden, sum(self.path_widths))
        tables = [
            math.sqrt(2 * l3 + 1) * wigner_3j(before[path.sender].l, path.order, l3).transpose(0, 1)
            for path in irreps.paths
            for l3 in [messages[path.message].l]
        ]
        self.table_sizes = [table.numel() for table in tables]
        table = torch.cat([table.flatten() for table in tables])  # [path, m2, m1, m3]
        self.register_buffer("table", table, persistent=False)  # float64 until it is cast

        n_mixed = [
            sum(n for n, m in zip(self.path_widths, self.message, strict=True) if m == index)
            for index in range(len(messages))
        ]
        self.down = nn.ModuleList(
            Linear(a, n) for a, (n, _, _) in zip(n_mixed, messages, strict=True)
        )
        self.message_sizes = [2 * l + 1 for _, l, _ in messages]
        kinds = [irrep[1:] for irrep in before]
        own = [m for m, irrep in enumerate(messages) if keeps and irrep[1:] in kinds]
        self.own_before = [kinds.index(messages[m][1:]) for m in own]
        self.own_message = own
        self.own_weights = nn.ParameterList(
            unit_weights(n_species, before[b].multiplicity, messages[m].multiplicity)
            for b, m in zip(self.own_before, own, strict=True)
        )
        self.kept_widths = [messages[m].multiplicity * (2 * messages[m].l + 1) for m in own]
        self.n_kept = sum(self.kept_widths)

        kinds = [irrep[1:] for irrep in messages]
        self.after = [kinds.index(irrep[1:]) for irrep in after]
        self.odd = [irrep.parity < 0 for irrep in after]
        self.scalar = kinds.index((0, 1))
        self.gate_widths = [after[0].multiplicity] + [n for n, l, _ in after if l > 0]

    def first_sent(self, scalars: Tensor) -> Tensor:
        """What is sent for a layer that only scalars [n, multiplicity] enter, [n, n_sent]."""
        return self.up[0](scalars)

    def leave(self, tensors: list[Tensor], species: Tensor) -> list[Tensor]:
        """What n atoms keep and send for this layer.

        Args:
            tensors: [n, 2l+1, multiplicity] of each irrep.
            species: [n, n_species], 1 at the element of the atom.

        Returns:
            [n, n_kept] and [n, n_sent].
        """
        sent: list[Tensor] = []
        for index, linear in enumerate(self.up):
            sent.append(linear(tensors[index]).flatten(1))
        kept = [species[:, :0]]
        of_species = species.unsqueeze(1).unsqueeze(3)
        for index, weight in enumerate(self.own_weights):
            own = tensors[self.own_before[index]]
            by_species = (of_species * own.unsqueeze(2)).flatten(2)  # [n, 2l+1, species * C]
            mixed = by_species @ (weight.flatten(0, 1) / math.sqrt(weight.size(1)))
            kept.append(mixed.flatten(1))
        return [torch.cat(kept, 1), torch.cat(sent, 1)]

    def forward(
        self, kept: Tensor, sent: Tensor, harmonics: list[Tensor], basis: Tensor
    ) -> list[Tensor]:
        """Tensors of n atoms after the layer.

        Args:
            kept: [n, n_kept].
            sent: [n, width, n_sent], what the neighbor of each edge has sent.
            harmonics: [n, width, 2l+1] of each order.
            basis: [n, width, n_bessel].

        Returns:
            [n, 2l+1, multiplicity] of each irrep.
        """
        n, width = basis.size(0), basis.size(1)
        radial = torch.split(self.radial(basis), self.path_widths, 2)
        tables = torch.split(self.table.to(basis.dtype), self.table_sizes)
        senders = torch.split(sent, self.sent_widths, 2)
        sums: list[list[Tensor]] = []
        for _ in self.message_sizes:
            sums.append([])
        for p, table in enumerate(tables):
            sender, order, message = self.sender[p], self.order[p], self.message[p]
            m1, m3, c = self.sizes[sender], self.message_sizes[message], self.path_widths[p]
            x = senders[sender].view(n, width, m1, c) * radial[p].unsqueeze(2)
            if order == 0:  # Y is 1 and the table a unit matrix
                sums[message].append(x.sum(1))
            else:
                by_sender = harmonics[order] @ table.view(2 * order + 1, m1 * m3)
                by_sender = by_sender.view(n, width * m1, m3).transpose(1, 2)
                sums[message].append(torch.bmm(by_sender, x.view(n, width * m1, c)))
        mixed: list[Tensor] = []
        for index, linear in enumerate(self.down):
            mixed.append(linear(torch.cat(sums[index], 2)))
        if len(self.kept_widths) > 0:
            own = torch.split(kept, self.kept_widths, 1)
            for index, message in enumerate(self.own_message):
                y = mixed[message]
                mixed[message] = y + own[index].view(n, y.size(1), y.size(2))
        return self.gate(mixed)

    def gate(self, mixed: list[Tensor]) -> list[Tensor]:
        """Nonlinear functions of sums [n, 2l+1, multiplicity], those of tensors as factors."""
        scalars = torch.split(mixed[self.scalar], self.gate_widths, 2)
        out: list[Tensor] = []
        gate = 0
        for index, message in enumerate(self.after):
            if self.message_sizes[message] > 1:
                gate += 1
                out.append(mixed[message] * unit_silu(scalars[gate]))
            elif self.odd[index]:
                out.append(unit_tanh(mixed[message]))
            else:
                out.append(unit_silu(scalars[0]))
        return out
