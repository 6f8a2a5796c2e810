"""The likelihood of an archive's solutions: found once, learnt from again beside the rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from rlkit.errors import ConfigError, suggest
from rlkit.objective.row_weighting import ROW_WEIGHTINGS, weigh_row
from rlkit.objective.stored import StoredLoss, StoredRow
from rlkit.parameters import check_choice, check_count, check_flag, check_number, check_text, show


@dataclass(frozen=True)
class ArchiveLikelihood(StoredLoss):
    """Adds `coef` times the weighted mean negative log-likelihood of solutions to the loss of each optimizer step.

    On-policy learning pays a solution as often as it is drawn, once. Maximum likelihood over a set of solutions is the
    forward divergence to a target that is spread over all of them: it replays the rare ones and pushes nothing away.
    Nearest in print are rejection-sampling fine-tuning on distinct paths (arXiv 2308.01825) and self-imitation
    (arXiv 1806.05635); neither stands beside an on-policy update with one row a class of a partition.

    The log-likelihood is the policy's as it is sampled, at `train.temperature`.

    Raises:
        ConfigError: a value is out of range, or there is nothing to learn from.
    """

    coef: float = 1.0
    """Weight of the mean in the loss; 0 leaves it out, and training is then the same to the last bit."""
    rows_per_step: int = 256
    """Solutions of each optimizer step, over all ranks; all of a smaller archive."""
    uses_per_solution: int | None = 3
    """How many steps take a solution before it retires; None never retires it."""
    weights: str = "equal"
    """What a solution counts, by the archive's own names; `equal` is 1 each."""
    row_weighting: str = "sequence_mean"
    """`sequence_mean`: a solution's loss is the mean over its tokens, so that a token of a long one counts less.
    `token_sum`: it is the sum, the solution's true log-likelihood. `trl`: the loss is the mean over all tokens of the
    step, so that a long solution counts more."""
    per_problem: int | None = None
    """Most solutions of a problem that are taken from each archive; None takes all."""
    capacity: int | None = 32
    """Most solutions of a problem in all, those that training found among them; None for no limit."""
    sources: tuple[str, ...] = ()
    """Archives to read; `from` in a recipe."""
    grow: bool = False
    """Whether correct rollouts of training enter, one of each class of the partition."""
    on_policy: bool = True
    """Whether rollouts are learnt from as well; False gives all of them the advantage 0."""
    seed: int = 0
    """Of the order in which solutions come."""

    def __post_init__(self) -> None:
        check_number("archive", "coef", self.coef, at_least=0)
        check_count("archive", "rows_per_step", self.rows_per_step)
        for field in ("uses_per_solution", "per_problem", "capacity"):
            if getattr(self, field) is not None:
                check_count("archive", field, getattr(self, field))
        check_text("archive", "weights", self.weights)
        check_choice("archive", "row_weighting", self.row_weighting, ROW_WEIGHTINGS)
        for field in ("grow", "on_policy"):
            check_flag("archive", field, getattr(self, field))
        check_count("archive", "seed", self.seed, smallest=0)
        if not self.sources and not self.grow:
            raise ConfigError("archive names nothing to learn from; write from: [PATH], or grow: true.")
        if self.grow and self.weights != "equal":
            raise ConfigError(
                f"archive was given grow: true and weights: {self.weights}, which counts draws, and draws of a policy "
                "that moves add up to nothing; write weights: equal, or grow: false."
            )

    @property
    def is_learnt(self) -> bool:
        """Whether solutions are part of the loss."""
        return self.coef > 0

    def weigh(self, rows: Sequence[StoredRow]) -> list[float]:
        """Return what a token of each row weighs.

        The loss of a step is `coef * sum_i w_i l_i / sum_i w_i`, l_i the mean (`sequence_mean`) or the sum
        (`token_sum`) of -log p over the T_i tokens; under `trl` it is `coef * sum_i w_i sum_t l_it / sum_i w_i T_i`.
        """
        weighed = [weigh_row(self.row_weighting, row.weight, len(row.completion_ids)) for row in rows]
        divisor = sum(part for _, part in weighed)
        return [self.coef * weight / divisor for weight, _ in weighed]

    def losses(self, logps_BT: torch.Tensor, ref_logps_BT: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood of every token; nothing is compared with."""
        return -logps_BT


def resolve_archive(spec: Any) -> ArchiveLikelihood | None:
    """Build what a recipe's `archive:` says; None for none.

    Args:
        spec: a mapping of the fields above, `from` in place of `sources`, one path or a list; a path or list of paths
            alone; an `ArchiveLikelihood`; or None.

    Raises:
        ConfigError: an unknown key, a value out of range, or it is none of these.
    """
    if spec is None or isinstance(spec, ArchiveLikelihood):
        return spec
    given = {"from": spec} if isinstance(spec, str | list) else spec
    if not isinstance(given, Mapping):
        raise ConfigError(f"archive was given {show(spec)}; write a mapping such as {{from: [PATH], coef: 1.0}}.")
    names = {"from", *(field.name for field in fields(ArchiveLikelihood))} - {"sources"}
    for key in given:
        if key not in names:
            raise ConfigError(f"archive has no setting {show(key)}.{suggest(str(key), names)}")
    values: dict[str, Any] = {str(key): value for key, value in given.items() if key != "from"}
    return ArchiveLikelihood(sources=_read_paths(given.get("from")), **values)


def _read_paths(given: Any) -> tuple[str, ...]:
    paths = [] if given is None else given if isinstance(given, list | tuple) else [given]
    for path in paths:
        check_text("archive", "from", path)
    return tuple(paths)
