"""One training as Lightning sees it: steps, averages, errors."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import Sampler

from lammps_les.keys import TOTAL_CHARGE
from lammps_les.models import Chain
from lammps_les.training.config import RunConfig
from lammps_les.training.frames import Batch
from lammps_les.training.losses import (
    QUANTITIES,
    Deviation,
    deviations,
    loss_of,
    not_finite,
    used_quantities,
    weights_at,
)
from lammps_les.training.physics import Physics
from lammps_les.training.prediction import predict
from lammps_les.training.stability import (
    SUSCEPTIBILITY,
    check_susceptibility,
    mean_susceptibility,
    stability_penalty,
)

SCORE = "validation/score"


class EpochOrder(Sampler[int]):
    """Order of the training frames.

    It is a function of seed and epoch alone, so that a resumed training goes on as the interrupted
    one would have; with several processes each takes its share.

    Args:
        n: number of frames.
        seed: of the run.
    """

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def _share(self) -> tuple[int, int]:
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return 0, 1

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.n, generator=generator).tolist()
        rank, world = self._share()
        order += order[: -len(order) % world]  # all processes take the same number of steps
        return iter(order[rank::world])

    def __len__(self) -> int:
        return -(-self.n // self._share()[1])


class ErrorSums:
    """Sums of squared deviations of each quantity."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, found: dict[str, Deviation]) -> None:
        """Take the deviations of a batch in."""
        for name, deviation in found.items():
            values = deviation.values.detach().double()
            parts = torch.stack([(values**2).sum(), values.new_tensor(float(values.numel()))])
            self.sums[name] = self.sums.get(name, torch.zeros_like(parts)) + parts

    def rmse(self, module: lightning.LightningModule | None = None) -> dict[str, float]:
        """Root mean square error by name, over all processes of a module; the sums are emptied."""
        sums = self.sums
        if module is not None and module.trainer.world_size > 1:
            # every process takes part for every quantity, also for one that it has not met
            none = torch.zeros(2, dtype=torch.float64, device=module.device)
            sums = {
                name: torch.as_tensor(module.all_gather(sums.get(name, none))).sum(0)
                for name in QUANTITIES
            }
        self.sums = {}
        found = {name: parts.tolist() for name, parts in sums.items()}
        return {name: math.sqrt(square / n) for name, (square, n) in found.items() if n > 0}


class LesTraining(lightning.LightningModule):
    """A network, the moving average of its parameters, and how they are trained.

    With alpha also the moving average of the susceptibility of training frames, which gives
    epsilon_e while training.

    Args:
        network: to be trained; parameters that need no gradient stay as they are.
        physics: of the model.
        config: of the run.
        steps: number of optimizer steps of the whole training.
    """

    susceptibility: Tensor

    def __init__(self, network: Chain, physics: Physics, config: RunConfig, steps: int) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.physics, self.run_config, self.steps = physics, config, steps
        self.wanted = used_quantities(config.loss)
        self.neutral = config.charges.total_charge == "penalty"
        self.training_errors, self.validation_errors = ErrorSums(), ErrorSums()
        self._idle = False
        self._met: Tensor | None = None
        if "alpha" in network.latent_names:
            chi = torch.zeros(3, 3, dtype=next(network.parameters()).dtype)
            self.register_buffer("susceptibility", chi)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Batches are no tensors; Lightning asks how to move them."""
        return batch.to(device)

    def _predict(self, network: Chain, batch: Batch, create_graph: bool) -> dict[str, Tensor]:
        """Quantities of the loss, those of which the batch has labels."""
        wanted = {
            name
            for name in self.wanted
            if name in batch.labels or (name == TOTAL_CHARGE.name and self.neutral)
        }
        physics = self.physics
        if "alpha" in network.latent_names and self.global_step > 0:
            physics = replace(physics, susceptibility=self.susceptibility.tolist())
        predicted = predict(network, batch, physics, wanted, create_graph)
        kept = {*wanted, SUSCEPTIBILITY}
        return {name: value for name, value in predicted.items() if name in kept}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch."""
        predicted = self._predict(self.network, batch, True)
        found = deviations(predicted, batch, self.neutral)
        self.training_errors.add(found)
        loss, config = self.run_config.loss, self.run_config.training
        epoch = self.global_step / self.steps * config.epochs
        weights = weights_at(loss, epoch, config.epochs)
        value = loss_of(found, weights, loss.kind, loss.huber_delta)
        self._check_finite("loss", value, found, batch)
        self._idle = not value.requires_grad
        if self._idle:  # no label of the batch counts at present; steps go on
            value = sum((0.0 * p.sum() for p in self.network.parameters()), value.to(self.device))
        elif SUSCEPTIBILITY in predicted:
            value = value + stability_penalty(predicted[SUSCEPTIBILITY])
            self._met = mean_susceptibility(predicted[SUSCEPTIBILITY].detach(), batch.periodic)
        return value

    def _check_finite(
        self, what: str, value: Tensor, found: dict[str, Deviation], batch: Batch
    ) -> None:
        """End the training where a number is not finite, with the structure that made it so."""
        if bool(torch.isfinite(value)):
            return
        cause = not_finite(found, batch) or f"of {', '.join(batch.where)} together"
        raise ValueError(
            f"the {what} is not finite in epoch {self.current_epoch + 1}: {cause}; lower "
            "training.learning_rate, or look at the structure in the data"
        )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Parameters stay where nothing asks them to move, whatever momentum and decay say."""
        gradients = (p.grad for p in self.network.parameters() if p.grad is not None)
        if self._idle and not any(bool(gradient.any()) for gradient in gradients):
            optimizer.zero_grad(set_to_none=True)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Move the average of the parameters."""
        step = self.global_step
        decay = min(self.run_config.training.ema_decay, step / (step + 10.0))
        if self._met is not None:
            self.susceptibility.lerp_(self._met, 1.0 - decay)
            self._met = None
        with torch.no_grad():
            for average, value in zip(
                self.average.parameters(), self.network.parameters(), strict=True
            ):
                average.lerp_(value, 1.0 - decay)

    def on_train_epoch_start(self) -> None:
        """Errors are counted anew."""
        self.training_errors = ErrorSums()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Errors of the average."""
        with torch.enable_grad():
            predicted = self._predict(self.average, batch, False)
        found = deviations(predicted, batch, self.neutral)
        self.validation_errors.add(found)
        squares = [part[0] for part in self.validation_errors.sums.values()]
        total = torch.stack(squares).sum() if squares else torch.zeros(())
        self._check_finite("validation score", total, found, batch)
        if SUSCEPTIBILITY in predicted:
            check_susceptibility(predicted[SUSCEPTIBILITY], batch.where)

    def on_validation_epoch_end(self) -> None:
        """Log errors, and the score by which the best parameters are chosen.

        It is the loss as mean square error, with the weights of the end. The training errors are
        those of the batches of this epoch as they were met.
        """
        for name, value in self.training_errors.rmse(self).items():
            self.log(f"training/{name}", value)
        epochs = self.run_config.training.epochs
        weights = weights_at(self.run_config.loss, float(epochs), epochs)
        found = self.validation_errors.rmse(self)
        for name, value in found.items():
            self.log(f"validation/{name}", value)
        score = sum(weights[name] * value**2 for name, value in found.items())
        self.log(SCORE, score)

    def configure_optimizers(self) -> Any:
        """AdamW with a warmup and a cosine; weights of linear layers decay."""
        config = self.run_config.training
        named = [(n, p) for n, p in self.network.named_parameters() if p.requires_grad]
        groups = [
            {"params": [p for n, p in named if n.endswith(".weight") is decays], "weight_decay": w}
            for decays, w in ((True, config.weight_decay), (False, 0.0))
        ]
        optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=config.learning_rate,
            betas=(0.9, 0.99),
        )

        def rate(step: int) -> float:
            done = min(1.0, step / self.steps)
            cosine = 0.5 * (1.0 + math.cos(math.pi * done))
            value = config.final_rate + (1.0 - config.final_rate) * cosine
            if config.warmup > 0.0:
                value *= min(1.0, (done + 1.0 / self.steps) / config.warmup)
            return value

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
