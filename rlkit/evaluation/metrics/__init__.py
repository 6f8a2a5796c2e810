"""From the samples of an evaluation to the numbers of its report: counts of problems, cells, families over budgets."""

from rlkit.evaluation.metrics.cells import METRICS, CellJson, Metric, Problem, k_grid

__all__ = ["METRICS", "CellJson", "Metric", "Problem", "k_grid"]
