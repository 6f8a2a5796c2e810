"""Where modules went: a plug-in that imports one by an older path gets the module, and one line on what to write.

Only paths that a plug-in, a script or a notebook of a user may name are kept; `CHANGELOG.md` says since when.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

MOVED = {
    "rlkit.diversity.answers": "rlkit.verifiers",
    "rlkit.diversity.normalisation": "rlkit.verifiers.normalisation",
    "rlkit.diversity.reasoning": "rlkit.verifiers.reasoning",
    "rlkit.evaluation.adapters": "rlkit.evaluation.engines.adapters",
    "rlkit.evaluation.chat_format": "rlkit.evaluation.engines.chat_format",
    "rlkit.evaluation.comparison": "rlkit.evaluation.comparing.comparison",
    "rlkit.evaluation.curves": "rlkit.evaluation.metrics.curves",
    "rlkit.evaluation.encoding": "rlkit.evaluation.engines.encoding",
    "rlkit.evaluation.engine": "rlkit.evaluation.engines.contract",
    "rlkit.evaluation.extrapolation": "rlkit.evaluation.metrics.extrapolation",
    "rlkit.evaluation.generation": "rlkit.evaluation.engines.generation",
    "rlkit.evaluation.grader_identity": "rlkit.evaluation.samples.grader_identity",
    "rlkit.evaluation.grading": "rlkit.evaluation.samples.grading",
    "rlkit.evaluation.hf_engine": "rlkit.evaluation.engines.hf",
    "rlkit.evaluation.importing": "rlkit.evaluation.samples.importing",
    "rlkit.evaluation.logs": "rlkit.evaluation.samples.logs",
    "rlkit.evaluation.measure": "rlkit.evaluation.metrics.measure",
    "rlkit.evaluation.openai_engine": "rlkit.evaluation.engines.openai",
    "rlkit.evaluation.openai_requests": "rlkit.evaluation.engines.openai_requests",
    "rlkit.evaluation.pairing": "rlkit.evaluation.comparing.pairing",
    "rlkit.evaluation.problems": "rlkit.evaluation.metrics.problems",
    "rlkit.evaluation.regrade": "rlkit.evaluation.samples.regrade",
    "rlkit.evaluation.report_file": "rlkit.evaluation.directory",
    "rlkit.evaluation.sample_index": "rlkit.evaluation.samples.grouping",
    "rlkit.evaluation.scored": "rlkit.evaluation.metrics.scored",
    "rlkit.evaluation.solution_classes": "rlkit.evaluation.samples.solution_classes",
    "rlkit.evaluation.store": "rlkit.evaluation.samples.store",
    "rlkit.evaluation.thinking": "rlkit.verifiers.reasoning",
    "rlkit.evaluation.truncation": "rlkit.evaluation.engines.truncation",
    "rlkit.evaluation.verdict": "rlkit.evaluation.comparing.verdict",
    "rlkit.evaluation.verdict_rules": "rlkit.evaluation.comparing.verdict_rules",
    "rlkit.evaluation.vllm_engine": "rlkit.evaluation.engines.vllm",
    "rlkit.rewards.answers": "rlkit.verifiers",
    "rlkit.rewards.binding": "rlkit.rewards.bound_reward",
    "rlkit.rewards.book": "rlkit.rewards.failure_counts",
    "rlkit.rewards.code_checking": "rlkit.verifiers.code_checking",
    "rlkit.rewards.code_executor": "rlkit.verifiers.code_executor",
    "rlkit.rewards.external": "rlkit.rewards.async_calls",
    "rlkit.rewards.mathematics": "rlkit.verifiers.mathematics",
    "rlkit.rewards.mathematics_library": "rlkit.verifiers.mathematics_library",
    "rlkit.rewards.progress": "rlkit.rewards.waiting",
    "rlkit.rewards.sandbox": "rlkit.verifiers.sandbox",
    "rlkit.rewards.settings": "rlkit.rewards.run_settings",
    "rlkit.rewards.trl_form": "rlkit.rewards.contract",
    "rlkit.trainers.colocated_vllm": "rlkit.trainers.stack",
    "rlkit.trainers.native_build": "rlkit.trainers.stack",
    "rlkit.trainers.plan": "rlkit.recipe.plan",
    "rlkit.trainers.quiet": "rlkit.trainers.stack",
}
"""Old path -> where the module is."""


class _Redirect(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module of `MOVED` by importing the one that it became."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name in MOVED else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Leave it to Python to make the empty module that `exec_module` replaces."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the module under its older name as well; Python hands out what stands in `sys.modules` afterwards."""
        new = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} is now {new}; import it from there.", FutureWarning, stacklevel=2)
        sys.modules[module.__name__] = importlib.import_module(new)


def redirect_moved_modules() -> None:
    """Make the older paths importable; called once, by `import rlkit`."""
    if not any(isinstance(finder, _Redirect) for finder in sys.meta_path):
        sys.meta_path.append(_Redirect())
