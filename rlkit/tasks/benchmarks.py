"""Known mathematics benchmarks, by the data sets under which they are used.

Where id, subset, splits and columns were looked up:

- gsm8k, math500: lm-evaluation-harness, `lm_eval/tasks/gsm8k/gsm8k.yaml` and `minerva_math/minerva_math500.yaml`;
  lighteval, `tasks/gsm8k.py` and `tasks/math_500.py`.
- aime24: lighteval, `tasks/aime.py` (its 30 problems are the split `train`).
- aime25: lm-evaluation-harness, `lm_eval/tasks/aime/aime25.yaml`.
- amc23, minerva: evaluation code that loads https://huggingface.co/datasets/math-ai/amc23 and
  https://huggingface.co/datasets/math-ai/minervamath, split `test`, by `question` and `answer`.
- olympiadbench: lighteval, `tasks/olympiade_bench.py`; the subset of English open-ended text-only mathematics, whose
  `final_answer` is a list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rlkit.plugins import factory
from rlkit.tasks.dataset import DatasetTask

_ASK = "{%s}\n\nReason step by step, and put your final answer within \\boxed{}."
_TEST_ONLY = {"test": "test"}
_TEST_IS_TRAIN = {"test": "train"}


@dataclass(frozen=True)
class Benchmark:
    """A known data set and what it holds."""

    task: DatasetTask
    about: str
    """One line for `rlkit tasks list`."""


def _math(name: str, hub: str, problem: str, about: str, **more: object) -> Benchmark:
    return Benchmark(DatasetTask(name, hub=hub, prompt=_ASK % problem, **more), about)  # type: ignore[arg-type]


BENCHMARKS = {
    benchmark.task.name: benchmark
    for benchmark in (
        _math("gsm8k", "openai/gsm8k", "question", "grade-school word problems (train, test)", subset="main"),
        _math(
            "math500", "HuggingFaceH4/MATH-500", "problem", "500 problems of MATH", splits=_TEST_ONLY, id="unique_id"
        ),
        _math("aime24", "HuggingFaceH4/aime_2024", "problem", "AIME 2024, I and II", splits=_TEST_IS_TRAIN),
        _math("aime25", "math-ai/aime25", "problem", "AIME 2025, I and II", splits=_TEST_ONLY),
        _math("amc23", "math-ai/amc23", "question", "AMC 2023", splits=_TEST_ONLY),
        _math(
            "olympiadbench",
            "Hothan/OlympiadBench",
            "question",
            "olympiad problems in English, text only",
            subset="OE_TO_maths_en_COMP",
            splits=_TEST_IS_TRAIN,
            gold="final_answer",
        ),
        _math("minerva", "math-ai/minervamath", "question", "undergraduate science and mathematics", splits=_TEST_ONLY),
    )
}


def _builder(name: str) -> Callable[..., DatasetTask]:
    known = BENCHMARKS[name].task

    @factory
    def build(
        path: str | None = None,
        prompt: str = known.prompt,
        system: str | None = None,
        format: str = "chat",
        last_number: bool = False,
    ) -> DatasetTask:
        """Return the benchmark, from the hub or from a local copy of the same columns."""
        return replace(known, path=path, prompt=prompt, system=system, format=format, last_number=last_number)

    return build


gsm8k = _builder("gsm8k")
math500 = _builder("math500")
aime24 = _builder("aime24")
aime25 = _builder("aime25")
amc23 = _builder("amc23")
olympiadbench = _builder("olympiadbench")
minerva = _builder("minerva")
