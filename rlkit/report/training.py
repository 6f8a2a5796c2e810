"""Training curves out of `train_log.jsonl`: which series are shown, what they are called, and a smoothed version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlkit.report.cells import finite_or_none
from rlkit.runs import RunDirectory

_PREFIX = "diversity/"
_TITLES = {
    "reward": "Mean reward",
    "entropy": "Token entropy while training (nats)",
    "nll": "Negative log-likelihood of learnt rows (nats a token)",
    "held_out/nll": "The same of held-out problems, watched",
    "learnt/nll": "The same of as many learnt rows, watched",
    "negatives/probability": "Probability of tokens that are pushed down",
    "pass_at_g": "Groups with a correct completion",
    "distinct_correct": "Distinct correct solutions a group",
    "simpson_correct": "Chance that two correct ones differ",
    "distinct": "Distinct answers a group, right or wrong",
    "groups_all_correct": "Groups with all completions correct",
    "groups_all_wrong": "Groups with all completions wrong",
    "critic/explained_variance": "Share of the returns' variance that the critic explains",
    "critic/value_error": "Squared error of the critic's values, before it learns the batch",
    "critic/value_mean": "Mean value of the critic",
    "returns/mean": "Mean return of a token",
    "critic/grad_norm": "Norm of the critic's gradient",
    "critic/clip_share": "Share of tokens at which the value clip holds",
    "kl": "KL to the reference model (nats a token)",
    "completions/mean_length": "Completion length (tokens)",
}
"""Series by the name they have without the prefix `diversity/`, in the order of the page."""
_LAST = ("kl", "completions/mean_length")


@dataclass(frozen=True)
class Training:
    """The log of one training run, by column."""

    directory: Path
    steps: list[float]
    series: dict[str, list[float | None]]
    """Values by key, aligned with `steps`; None where a line had no finite number."""
    status: str | None = None
    """`running`, `finished`, `interrupted`, `failed`, or None when run.json says nothing."""
    command: tuple[str, ...] = ()
    """The words of the command that started it, without the program; empty when run.json does not have them."""

    def summary(self) -> dict[str, object]:
        """Return steps, status, and the first and last value (means over a tenth of the log) of each shown series."""
        tails = {key: _ends(values) for key, values in self.series.items()}
        return {"status": self.status, "steps": self.steps[-1] if self.steps else None, "series": tails}


def read_training(directory: Path) -> Training | None:
    """Read the log and the state of a run directory; None when there is no log."""
    run = RunDirectory(directory)
    if not run.log_path.is_file():
        return None
    rows: dict[float, dict[str, object]] = {}
    for row in run.read_log():
        rows.setdefault(float(row["step"]), {}).update({series_name(key): value for key, value in row.items()})
    steps = sorted(rows)
    keys = shown_series([key for step in steps for key in rows[step]])
    series = {key: [finite_or_none(rows[step].get(key)) for step in steps] for key in keys}
    series = {key: values for key, values in series.items() if any(value is not None for value in values)}
    state = run.read_state()
    status, words = state.get("status"), state.get("command")
    command = tuple(map(str, words[1:])) if isinstance(words, list) else ()
    return Training(directory, steps, series, status if isinstance(status, str) else None, command)


def series_name(key: str) -> str:
    """Return the one name of a logged key: known series may carry the prefix `diversity/` or not."""
    bare = key.removeprefix(_PREFIX)
    return bare if bare in _TITLES else key


def shown_series(names: Sequence[str]) -> list[str]:
    """Return the series a report shows out of all that were logged, known ones first, without repeats."""
    present = set(names)
    known = [name for name in _TITLES if name in present and name not in _LAST]
    others = sorted(name for name in present if name.startswith(_PREFIX))
    return known + others + [name for name in _LAST if name in present]


def series_title(name: str) -> str:
    """Return a title in words."""
    words = name.removeprefix(_PREFIX).replace("_", " ").replace("/", " ")
    return _TITLES.get(name, words[:1].upper() + words[1:])


def smooth(values: Sequence[float | None], window: int) -> list[float | None]:
    """Return centred moving averages over up to `window` neighbours; None stays None and is not averaged over."""
    half = window // 2
    result: list[float | None] = []
    for i, value in enumerate(values):
        near = [v for v in values[max(0, i - half) : i + half + 1] if v is not None]
        result.append(None if value is None else sum(near) / len(near))
    return result


def smoothing_window(num_points: int) -> int:
    """Return an odd window of about a tenth of the log; 1 (no smoothing) for short logs."""
    return 1 if num_points < 20 else num_points // 20 * 2 + 1


def _ends(values: Sequence[float | None]) -> dict[str, float]:
    defined = [value for value in values if value is not None]
    count = max(1, len(defined) // 10)
    return {"first": sum(defined[:count]) / count, "last": sum(defined[-count:]) / count}
