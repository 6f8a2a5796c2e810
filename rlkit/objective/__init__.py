"""Losses, token weights, anchors and rehearsal: tensors in, tensor out; nothing here knows a trainer."""

from rlkit.objective.aggregations import weigh_rows
from rlkit.objective.anchors import ANCHORS, Anchor, resolve_anchor
from rlkit.objective.archive import ArchiveLikelihood, resolve_archive
from rlkit.objective.coefficients import resolve_coefficient
from rlkit.objective.importance import correct_for_sampler
from rlkit.objective.loss import TokenBatch, compute_anchor_losses, compute_token_losses, weigh_anchor, weigh_tokens
from rlkit.objective.microbatches import cut_by_tokens, find_needed_rows
from rlkit.objective.objective import OBJECTIVES, Objective, resolve_objective
from rlkit.objective.references import resolve_reference
from rlkit.objective.rehearsal import Rehearsal
from rlkit.objective.token_weights import TOKEN_WEIGHTS, TokenWeight, resolve_token_weight

__all__ = [
    "ANCHORS",
    "OBJECTIVES",
    "TOKEN_WEIGHTS",
    "Anchor",
    "ArchiveLikelihood",
    "Objective",
    "Rehearsal",
    "TokenBatch",
    "TokenWeight",
    "compute_anchor_losses",
    "compute_token_losses",
    "correct_for_sampler",
    "cut_by_tokens",
    "find_needed_rows",
    "resolve_anchor",
    "resolve_archive",
    "resolve_coefficient",
    "resolve_objective",
    "resolve_reference",
    "resolve_token_weight",
    "weigh_anchor",
    "weigh_rows",
    "weigh_tokens",
]
