"""Samples by prompt: each prompt as soon as it is whole, whatever the order, and what does not fit is read again."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from rlkit.errors import StoreError
from rlkit.evaluation.samples import grouping
from rlkit.evaluation.samples.grouping import group_samples
from tests.evaluation.samples.test_store import CONFIG, record

PROMPTS = [f"p{at}" for at in range(6)]
RECORDS = [record(prompt, sample, f"text {sample} of {prompt}") for prompt in PROMPTS for sample in range(CONFIG.n)]


def write(directory: Path, records: list[dict[str, Any]], with_config: bool = True) -> Path:
    if with_config:
        header = {"hash": CONFIG.digest, "config": CONFIG.as_json()}
        (directory / "config.json").write_text(json.dumps(header))
    (directory / "samples.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    return directory


def texts_of(groups: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    return {prompt: [each["completion"] for each in group] for prompt, group in groups.items()}


WHOLE = {prompt: [f"text {sample} of {prompt}" for sample in range(CONFIG.n)] for prompt in PROMPTS}


@pytest.mark.parametrize("with_config", [True, False])
@pytest.mark.parametrize("most_held", [0, 40, 1 << 28])
def test_in_any_order_and_with_copies_each_sample_comes_once(tmp_path: Path, with_config: bool, most_held: int) -> None:
    shuffled = random.Random(0).sample(RECORDS, len(RECORDS))
    later = [each | {"completion": "a copy"} for each in shuffled[:9]]
    found = dict(group_samples(write(tmp_path, [*shuffled, *later], with_config), PROMPTS, most_held))
    assert texts_of(found) == WHOLE


def test_a_prompt_comes_before_the_next_one_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    placed = grouping.place_samples

    def watched(*args: Any) -> Any:
        for place, each in placed(*args):
            read.append(each["prompt_id"])
            yield place, each

    monkeypatch.setattr(grouping, "place_samples", watched)
    groups = group_samples(write(tmp_path, RECORDS), PROMPTS)
    assert next(groups)[0] == "p0"
    assert {*read} == {"p0"}


def test_what_lacks_samples_comes_at_the_end_and_what_has_none_not_at_all(tmp_path: Path) -> None:
    some = [each for each in RECORDS if (each["prompt_id"], each["sample"]) != ("p0", 2) and each["prompt_id"] != "p3"]
    found = list(group_samples(write(tmp_path, some), PROMPTS))
    assert [prompt for prompt, _ in found] == ["p1", "p2", "p4", "p5", "p0"]
    assert [each["sample"] for each in found[-1][1]] == [0, 1, 3]


def test_only_what_is_asked_for_comes_from_a_store_and_from_lines(tmp_path: Path) -> None:
    write(tmp_path, RECORDS)
    for source in (tmp_path, str(tmp_path), RECORDS):
        assert texts_of(dict(group_samples(source, ["p4", "p1", "nowhere"]))) == {
            each: WHOLE[each] for each in ("p1", "p4")
        }


def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no directory"):
        list(group_samples(tmp_path / "nowhere", PROMPTS))
