"""How alike the texts of two models are: the mean cosine of their answers to the same prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlkit.diversity import HashedNgrams, mean_cosine_distance, mean_cross_cosine, read_vectors
from rlkit.estimators import mean_interval
from rlkit.evaluation.comparing.models import Model
from rlkit.evaluation.samples.grouping import group_samples
from rlkit.evaluation.samples.reading import SAMPLES

_PROMPTS, _TEXTS = 200, 16
"""At most so many prompts, and texts of each model for one of them."""


def compare_texts(base: Model, run: Model) -> dict[str, Any]:
    """Return the similarity between two models' answers to one prompt, beside that within the base's own.

    Cosines of hashed n-grams, mean over the first 200 shared prompts with 16 answers of either. As alike between the
    models as within the base means that the run still writes what the base writes (Infinity-Chat, arXiv 2510.22954).

    Returns:
        `{"between", "within_base", "within_run"}`, cells with intervals over prompts; empty where samples are missing.
    """
    folders = (base.folder(base.main()), run.folder(run.main(base.main_temperature)))
    if any(not (folder / SAMPLES).is_file() for folder in folders):
        return {}
    shared = {problem["id"] for problem in run.reports[0]["problems"]}
    ids = [problem["id"] for problem in base.reports[0]["problems"] if problem["id"] in shared][:_PROMPTS]
    values_P3 = _cosines(folders, ids)
    names = ("between", "within_base", "within_run")
    return {name: mean_interval(values_P3[:, at], bounds=(-1.0, 1.0)).as_cell() for at, name in enumerate(names)}


def _cosines(folders: tuple[Path, Path], ids: list[str]) -> np.ndarray:
    """Return cosines between the models, within the first and within the second, one row a prompt."""
    groups = [dict(group_samples(folder, ids)) for folder in folders]
    embedding = HashedNgrams()
    rows = []
    for identity in ids:
        texts = [[record["completion"] for record in of.get(identity, [])[:_TEXTS]] for of in groups]
        a_NE, b_NE = (np.asarray(read_vectors(embedding, each)) for each in texts)
        within = [1.0 - mean_cosine_distance(vectors) for vectors in (a_NE, b_NE)]
        rows.append([mean_cross_cosine(a_NE, b_NE), *within])
    return np.array(rows, dtype=np.float64).reshape(-1, 3)
