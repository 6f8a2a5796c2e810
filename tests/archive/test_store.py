"""The archive's laws: adding twice changes nothing, order does not matter, and a kill anywhere loses no whole line."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest

from rlkit.archive import Archive, Finding, Solution, Source
from rlkit.errors import ConfigError, StoreError

BASE, TUNED = Source("base", "countdown-tiny", 1.0), Source("tuned", "runs/tuned/model", 0.6, step=60, round=2)


def finding(problem, drawn, **counts):
    """Return what a source found: `drawn` samples, and so many of each solution."""
    solutions = tuple(Solution(key, f"{key} of {problem}", count, -1.5) for key, count in counts.items())
    return Finding(problem, f"solve {problem}", drawn, sum(counts.values()), solutions)


FIRST = [finding("p1", 8, a=3, b=1), finding("p2", 8), finding("p3", 8, c=8)]
SECOND = [finding("p1", 4, b=1, d=2), finding("p3", 4, c=1)]


def make(path, *additions):
    archive = Archive.create(path, task="countdown", partition="canonical_expression")
    for source, findings in additions:
        archive.add(source, findings)
    return archive


def state(archive):
    return {id: (p.prompt, p.drawn, p.correct, p.solutions) for id, p in archive.problems.items()}


def test_what_was_added_is_read_again(tmp_path):
    archive = make(tmp_path / "a.jsonl", (BASE, FIRST), (TUNED, SECOND))
    again = Archive.open(tmp_path / "a.jsonl")
    assert (again.task, again.partition, again.sources) == ("countdown", "canonical_expression", archive.sources)
    assert again.sources["tuned"] == TUNED
    assert state(again) == state(archive)
    p1 = again.problems["p1"]
    assert (p1.drawn, p1.correct, [(each.key, each.count) for each in p1.solutions]) == (
        12,
        7,
        [("a", 3), ("b", 2), ("d", 2)],
    )
    assert (again.problems["p2"].drawn, again.problems["p2"].solutions) == (8, ())


def test_adding_twice_appends_nothing(tmp_path):
    path = tmp_path / "a.jsonl"
    archive = make(path, (BASE, FIRST))
    before = path.read_bytes()
    assert archive.add(BASE, FIRST) == 0
    assert Archive.open(path).add(BASE, FIRST) == 0
    assert path.read_bytes() == before


def test_a_source_that_drew_more_replaces_its_own_counts(tmp_path):
    archive = make(tmp_path / "a.jsonl", (BASE, FIRST))
    assert archive.add(BASE, [finding("p1", 16, a=5, b=1, e=1)]) == 1
    # And what it was before changes nothing any more.
    assert archive.add(BASE, FIRST) == 0
    p1 = Archive.open(archive.path).problems["p1"]
    assert (p1.drawn, p1.correct, p1.counts) == (16, 7, [5, 1, 1])


def test_order_of_arrival_does_not_matter(tmp_path):
    parts = [(BASE, [each]) for each in FIRST] + [(TUNED, [each]) for each in SECOND]
    found = []
    for number, order in enumerate(itertools.permutations(parts)):
        archive = make(tmp_path / f"{number}.jsonl", *order)
        found.append((state(archive), archive.rows(weights="as_drawn"), archive.rows(per_problem=1)))
    assert all(each == found[0] for each in found)


def test_of_one_solution_the_shortest_text_is_kept(tmp_path):
    long, short, other = (Solution("a", text, 1) for text in ("a longer text", "short", "shorz"))
    for number, order in enumerate(itertools.permutations([long, short, other])):
        additions = [(Source(each.completion, "m"), [Finding("p", "?", 1, 1, (each,))]) for each in order]
        archive = make(tmp_path / f"{number}.jsonl", *additions)
        assert [row.completion for row in archive.rows()] == ["short"]


def test_a_file_cut_anywhere_opens_and_goes_on_to_the_same(tmp_path):
    whole = make(tmp_path / "whole.jsonl", (BASE, FIRST), (TUNED, SECOND))
    data = whole.path.read_bytes()
    for size in range(0, len(data) + 1, 7):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(data[:size])
        archive = make(path, (BASE, FIRST), (TUNED, SECOND))
        assert state(archive) == state(whole) == state(Archive.open(path))


def test_two_that_add_in_turn_lose_nothing(tmp_path):
    path = tmp_path / "a.jsonl"
    first, second = make(path), Archive.create(path, task="countdown", partition="canonical_expression")
    first.add(BASE, FIRST)
    second.add(TUNED, SECOND)
    both = make(tmp_path / "b.jsonl", (BASE, FIRST), (TUNED, SECOND))
    assert state(second) == state(Archive.open(path)) == state(both)


def test_rows_are_bounded_by_a_draw_that_ignores_counts(tmp_path):
    keys = {f"k{number:02}": 1 + number for number in range(20)}
    archive = make(tmp_path / "a.jsonl", (BASE, [finding("p", 300, **keys)]))
    chosen = [row.key for row in archive.rows(per_problem=5)]
    assert [row.key for row in archive.rows(per_problem=12)][:5] == chosen
    assert [row.key for row in archive.rows(capacity=5, per_problem=12)] == chosen
    often = [row.key for seed in range(400) for row in archive.rows(per_problem=5, seed=seed)]
    shares = [often.count(key) / 400 for key in keys]
    assert 0.15 < min(shares) <= max(shares) < 0.35


def test_weights_have_mean_one(tmp_path):
    archive = make(tmp_path / "a.jsonl", (BASE, FIRST), (TUNED, SECOND))
    for weights in ("equal", "as_drawn", "per_problem", "capped", "sqrt_count", "hard_first"):
        rows = archive.rows(weights=weights)
        assert sum(row.weight for row in rows) == pytest.approx(len(rows))
    assert make(tmp_path / "empty.jsonl").rows() == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text.replace('"archive": 1', '"archive": 2'), "is no archive"),
        (lambda text: text.replace('"drawn": 8', '"drawn": -8'), "Line"),
        (lambda text: text.replace('"drawn": 8', '"drawn": 1'), "Line"),
        (lambda text: text.replace('"count": 3', '"count": "3"'), "Line"),
        (lambda text: text.replace('"key": "a"', '"kex": "a"'), "Line"),
        (lambda text: text.replace('{"problem"', '{"prob'), "no JSON"),
        (lambda text: text.replace('"drawn": 8', '"drawn": NaN'), "no JSON"),
        (lambda text: text.splitlines()[0] + "\n[]\n", "no JSON object"),
        (lambda text: "\x00\n", "no JSON"),
        (lambda text: "", "is no archive"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, damage, words):
    path = make(tmp_path / "a.jsonl", (BASE, FIRST)).path
    path.write_text(damage(path.read_text()))
    with pytest.raises(StoreError, match=words):
        Archive.open(path)


def test_what_is_not_there_or_of_something_else_is_refused(tmp_path):
    with pytest.raises(StoreError, match="name an archive"):
        Archive.open(tmp_path / "none.jsonl")
    archive = make(tmp_path / "a.jsonl", (BASE, FIRST))
    with pytest.raises(StoreError, match="archive of the task 'countdown'"):
        Archive.create(archive.path, task="gsm8k", partition="canonical_expression")
    with pytest.raises(ConfigError, match=r"no weights 'equl'.*equal"):
        archive.rows(weights="equl")
    with pytest.raises(ConfigError, match=r"per_problem=0"):
        archive.rows(per_problem=0)
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"prompt": "?", "completion": "!"}) + "\n")
    with pytest.raises(StoreError, match="is no archive"):
        Archive.create(other, task="countdown", partition="canonical_expression")


def test_one_that_is_being_written_is_left_alone(tmp_path):
    from filelock import FileLock

    archive = make(tmp_path / "a.jsonl")
    with FileLock(tmp_path / ".a.jsonl.lock"), pytest.raises(StoreError, match="another process"):
        archive.add(BASE, FIRST)


def test_random_additions_equal_a_slow_loop(tmp_path):
    rng = random.Random(0)
    archive, seen = make(tmp_path / "a.jsonl"), {}
    for _ in range(40):
        source = Source(f"s{rng.randrange(3)}", "m")
        counts = {key: rng.randrange(1, 4) for key in "abcd" if rng.random() < 0.5}
        found = finding(f"p{rng.randrange(4)}", 16 + rng.randrange(4), **counts)
        archive.add(source, [found])
        before = seen.get((source.id, found.problem))
        size = (found.drawn, found.correct, json.dumps([[s.key, s.completion, s.count] for s in found.solutions]))
        if before is None or size > before[0]:
            seen[source.id, found.problem] = size, counts
    for id, problem in Archive.open(archive.path).problems.items():
        totals: dict[str, int] = {}
        for (_, of), (_, counts) in seen.items():
            for key, count in counts.items() if of == id else ():
                totals[key] = totals.get(key, 0) + count
        assert {each.key: each.count for each in problem.solutions} == totals
        assert problem.drawn == sum(size[0] for (_, of), (size, _) in seen.items() if of == id)


def test_importing_it_stays_light():
    import subprocess
    import sys

    code = "import rlkit.archive, sys; assert not {'torch', 'trl', 'transformers'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_an_archive_may_say_how_it_is_learnt(tmp_path):
    archive = make(tmp_path / "a.jsonl", (Source("x", "m"), [finding("p", 9, a=3, b=1, c=1)]))
    assert {row.weight for row in archive.rows()} == {1.0}
    archive.set_defaults(per_problem=2, weights="as_drawn")
    again = Archive.open(archive.path)
    assert again.defaults == {"per_problem": 2, "weights": "as_drawn"}
    assert again.rows() == archive.rows(2, "as_drawn")
    assert len(again.rows(per_problem=3)) == 3
    assert {row.weight for row in again.rows(weights="equal")} == {1.0}
    size = archive.path.stat().st_size
    again.set_defaults(weights="as_drawn")
    assert archive.path.stat().st_size == size
    with pytest.raises(ConfigError, match="capped"):
        again.set_defaults(weights="caped")
    assert Archive.open(archive.path).num_solutions == 3
