"""A comparison as people read it: verdict, what decided it, table of numbers, support, crossing, notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rlkit.evaluation.diversity.measuring import HEADLINE
from rlkit.report.verdicts import question_rows
from rlkit.terminal import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

DETAILED_RUNS = 4
"""With more runs than this the overview stands alone, unless all is asked for."""

_SHOWN_IDS = 5
_COUNTED = ("truncated",)


def describe_verdict(comparison: dict[str, Any]) -> str:
    """Return the verdict on one line: which run, against what, and the number that decided."""
    names = f"{comparison['b']['name']} against {comparison['a']['name']}"
    kind = " (system-level: more than the model differs)" if comparison["system_level"] else ""
    return f"{names}{kind}: {comparison['verdict']['word']}. {comparison['verdict']['sentence']}"


def describe_front(comparison: dict[str, Any]) -> Iterator[str]:
    """Yield what the base's temperatures say beyond the verdict's sentence, or the command that would tell."""
    front = comparison["verdict"]["front"]
    for said in front["says"]:
        yield f"  {said}"
    if front["command"]:
        yield f"    {front['command']}"


def describe_open_front(comparison: dict[str, Any]) -> Iterator[str]:
    """Yield `describe_front` where the base was sampled at one temperature, which is one thing to do for all runs."""
    if comparison["verdict"]["front"]["command"]:
        yield from describe_front(comparison)


def build_verdict_table(comparison: dict[str, Any]) -> Table:
    """Return the questions that decided the verdict: changes with their margins, and what is sure of them."""
    verdict, level = comparison["verdict"], f"{comparison['level']:.0%}"
    table = _new_table(f"what decided: {comparison['b']['name']}, {verdict['word']}")
    for heading in ("", "base", "run", f"change [{level}, all at once]", "margin", "sure of"):
        table.add_column(
            plain(heading), justify="left" if heading in ("", "sure of") else "right", no_wrap=bool(heading)
        )
    for row in question_rows(verdict):
        table.add_row(*map(plain, row))
    return table


def build_table(comparison: dict[str, Any], all_measures: bool = False, for_each_k_alone: bool = False) -> Table:
    """Return a comparison as a table, one quantity a row; narrower without what holds for all budgets at once."""
    a, b = comparison["a"]["name"], comparison["b"]["name"]
    paired = comparison["num_paired"]
    level = f"{comparison['level']:.0%}"
    table = _new_table(f"{b} minus {a}, {paired} problems")
    together = () if for_each_k_alone else ("[all k at once]", "p, all k")
    for heading in ("", a, b, f"difference [{level} interval]", "p", *together):
        # Where it is narrow, names of quantities go on below; numbers are never cut.
        table.add_column(plain(heading), justify="right" if heading else "left", no_wrap=bool(heading))
    for name, cell in _rows(comparison, all_measures).items():
        if cell["num_defined"] == 0 or _is_none_of(name, cell):
            continue
        defined = "" if cell["num_defined"] == paired else f" ({cell['num_defined']} problems)"
        texts = _cell_texts(cell) + ([] if for_each_k_alone else _family_texts(cell))
        table.add_row(*map(plain, (name.replace("_", " ") + defined, *texts)))
    return table


def choose_overview(comparisons: list[dict[str, Any]], console: Console) -> Table:
    """Return `build_overview` with intervals where they fit the console."""
    table = build_overview(comparisons)
    # Measured as if there were room: rich would otherwise answer that cut columns fit.
    fits = console.measure(table, options=console.options.update(max_width=1000)).maximum <= console.width
    return table if fits else build_overview(comparisons, with_intervals=False)


def build_overview(comparisons: list[dict[str, Any]], with_intervals: bool = True) -> Table:
    """Return several runs against one base, one run a row."""
    base = comparisons[0]["a"]["name"]
    # Runs can differ in n, and each is compared with the base at its own budgets.
    ks = [k for k in comparisons[0]["pass_at_k"] if all(k in other["pass_at_k"] for other in comparisons)]
    shown = list(dict.fromkeys([ks[0], ks[len(ks) // 2], ks[-1]]))
    table = _new_table(f"differences from {base}")
    headings = ("run", "verdict", *(f"pass@{k}" for k in shown), "gained", "lost", "McNemar p")
    for heading in headings:
        table.add_column(plain(heading), justify="left" if heading in ("run", "verdict") else "right", no_wrap=True)
    for comparison in comparisons:
        support = comparison["support"]
        cells = [comparison["pass_at_k"][k] for k in shown]
        numbers = [_difference_text(cell if with_intervals else cell | {"low": None}) for cell in cells]
        counts = [str(support["gained"]), str(support["lost"]), _p_text(support["mcnemar_p"])]
        table.add_row(*map(plain, (comparison["b"]["name"], comparison["verdict"]["word"], *numbers, *counts)))
    return table


def describe_comparison(comparison: dict[str, Any], all_ids: bool = False, all_measures: bool = False) -> Iterator[str]:
    """Yield what stands below the table, one line each."""
    support, sharpness = comparison["support"], comparison["sharpening_index"]
    p_value = _p_text(support["mcnemar_p"])
    yield (
        f"Support: {support['both']} solved by both, {support['gained']} gained, {support['lost']} lost,"
        f" {support['neither']} by neither (McNemar p {p_value}; NSCR {_number(support['nscr'])},"
        f" SRR {_number(support['srr'])}, NDR {_number(support['ndr'])}, overlap {_number(support['jaccard'])})"
    )
    for way in ("lost", "gained"):
        yield from _describe_ids(way, support, all_ids)
    yield _describe_crossing(comparison)
    if sharpness["slope"] is not None:
        yield (
            f"Sharpening index: slope {sharpness['slope']:.2f}, correlation {_number(sharpness['correlation'], 2)}"
            " of the logits of success rates (above 1: easy problems gained more than hard ones)"
        )
    losses = comparison["decomposition"]
    for name in _chosen(losses, all_measures):
        if losses[name]["num_problems"]:
            yield _describe_loss(name, losses[name])
    yield from _describe_outputs(comparison["outputs"])
    rows = _rows(comparison, all_measures)
    if none := [name for name, cell in rows.items() if _is_none_of(name, cell)]:
        yield f"None of either's samples: {'; '.join(none)}"
    if undefined := [name.replace("_", " ") for name, cell in rows.items() if cell["num_defined"] == 0]:
        yield f"Undefined on every problem: {'; '.join(undefined)}"
    if len(_chosen(losses, all_measures)) < len(losses):
        yield f"({len(losses)} measures of diversity were compared; --all prints them.)"
    if comparison["verdict"]["needed"]:
        yield f"To settle it: {comparison['verdict']['needed']['says']}"
    for note in comparison["notes"]:
        yield f"Note: {note}"


def _describe_ids(way: str, support: dict[str, Any], all_ids: bool) -> Iterator[str]:
    ids, sure = support[f"{way}_ids"], set(support[f"{way}_at_threshold_ids"])
    if not ids:
        return
    # Those that no accident of sampling explains come first.
    ordered = sorted(ids, key=lambda identity: identity not in sure)
    shown = ordered if all_ids else ordered[:_SHOWN_IDS]
    rest = f", and {len(ids) - len(shown)} more (--ids lists all)" if len(shown) < len(ids) else ""
    marked = ", ".join(f"{identity}*" if identity in sure else identity for identity in shown)
    star = " (* the other side solves it in 4 samples or more)" if sure & {*shown} else ""
    yield f"{way.capitalize()}: {marked}{rest}{star}"


def _describe_crossing(comparison: dict[str, Any]) -> str:
    crossing = comparison["crossing"]
    share = f"{crossing['share_crossing']:.0%} of {crossing['num_resamples']:,} resamples cross"
    if crossing["k_star"] is None:
        return f"Crossing: the base does not overtake within the budgets compared ({share})"
    low = "?" if crossing["low"] is None else f"{crossing['low']:.3g}"
    high = "beyond the largest k" if crossing["high"] is None else f"{crossing['high']:.3g}"
    return f"Crossing: the base overtakes at k* = {crossing['k_star']:.3g} [{low}, {high}] ({share})"


def _describe_loss(name: str, loss: dict[str, Any]) -> str:
    parts = ", ".join(
        f"{part.replace('_', ' ')} {_difference_text({**loss[part], 'difference': loss[part]['value']})}"
        for part in ("total", "quality_control", "residual", "rho")
    )
    return f"Loss of {name}: {parts}, on {loss['num_problems']} problems"


def _describe_outputs(outputs: Mapping[str, Any]) -> Iterator[str]:
    if formats := outputs.get("formats"):
        first = [f"{next(iter(formats[side]))} {next(iter(formats[side].values())):.0%}" for side in ("a", "b")]
        yield f"Form: mostly {first[0]}, then {first[1]}; drift {_number(formats['drift'])} of at most 0.693"
    if across := outputs.get("across_prompts"):
        said = (f"{name.replace('_', ' ')} {cell['a']:.3f} to {cell['b']:.3f}" for name, cell in across.items())
        yield f"Across prompts, one answer each: {'; '.join(said)}"
    if similarity := outputs.get("similarity"):
        within, between = (_number(similarity[name]["value"]) for name in ("within_base", "between"))
        yield f"Similarity of answers to one prompt (n-grams): {within} within the base, {between} between the two"


def _chosen(measures: Mapping[str, Any], all_measures: bool) -> list[str]:
    """Return the names that are shown: the main ones, or all where that is asked for or none of the main is there."""
    main = [name for name in HEADLINE if name in measures]
    return list(measures) if all_measures or not main else main


def _rows(comparison: dict[str, Any], all_measures: bool) -> dict[str, dict[str, Any]]:
    passes = {f"pass@{k}": cell for k, cell in comparison["pass_at_k"].items()}
    votes = {f"maj@{k}": cell for k, cell in comparison["maj_at_k"].items()}
    # pass^1 is pass@1.
    hats = {f"pass^{k}": cell for k, cell in comparison["pass_hat_k"].items() if k != "1"}
    diversity = {
        f"{name}, {part}": cells[name]
        for part, cells in comparison["diversity"].items()
        for name in _chosen(cells, all_measures)
    }
    return passes | votes | hats | comparison["metrics"] | diversity


def _is_none_of(name: str, cell: Mapping[str, Any]) -> bool:
    """Whether this is a count that is 0 on both sides: an interval around that would look like a finding."""
    return name in _COUNTED and cell["a"] == cell["b"] == 0


def _new_table(title: str) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    return Table(title=plain(title), box=SIMPLE, title_justify="left", header_style="bold", padding=(0, 1, 0, 0))


def _cell_texts(cell: dict[str, Any]) -> list[str]:
    if cell["difference"] is None:
        return ["", "", "undefined", ""]
    return [f"{cell['a']:.3f}", f"{cell['b']:.3f}", _difference_text(cell), _p_text(cell["p_value"])]


def _family_texts(cell: dict[str, Any]) -> list[str]:
    if cell.get("low_simultaneous") is None:
        return ["", ""]
    limits = f"[{cell['low_simultaneous']:+.3f}, {cell['high_simultaneous']:+.3f}]"
    return [limits, _p_text(cell["p_adjusted"])]


def _difference_text(cell: dict[str, Any]) -> str:
    if cell["difference"] is None:
        return "undefined"
    interval = "" if cell["low"] is None else f" [{cell['low']:+.3f}, {cell['high']:+.3f}]"
    return f"{cell['difference']:+.3f}{interval}"


def _p_text(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
