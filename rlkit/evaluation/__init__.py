"""Sampling, grading and measuring a model on a task, and comparing two such evaluations."""

from rlkit.evaluation.comparing.comparison import compare_runs, compare_several, read_report
from rlkit.evaluation.engines.contract import Engine, Sample
from rlkit.evaluation.evaluate import evaluate
from rlkit.evaluation.sampling import SamplingConfig

__all__ = ["Engine", "Sample", "SamplingConfig", "compare_runs", "compare_several", "evaluate", "read_report"]
