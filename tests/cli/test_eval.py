"""`rlkit eval` as a user meets it: what it prints, and one sentence with exit code 2 for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlkit.cli import main
from rlkit.cli.eval import summarise, warnings_of
from rlkit.types import Grade, Row
from tests.evaluation.conftest import FirstLetter, build_tiny_model

TASK = f"{{name: {Path(__file__).parent.parent / 'evaluation' / 'conftest.py'}:FirstLetter, num_problems: 3}}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(build_tiny_model(tmp_path_factory.mktemp("model")))


def test_it_writes_the_three_files_and_prints_the_numbers(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--n",
        "4",
        "--max-tokens",
        "10",
        "--temperature",
        "0.9",
        "--top-k",
        "8",
        "--stop",
        "h",
        "--name",
        "mine",
    ]
    assert main(["eval", "--model", model, "--task", TASK, "--output", str(tmp_path / "out"), *options]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["name"] == "mine"
    assert report["sampling"] == {
        "temperature": 0.9, "top_p": 1.0, "top_k": 8, "min_p": 0.0, "max_tokens": 10, "stop": ["h"], "seed": 0
    }  # fmt: skip
    assert len((tmp_path / "out" / "samples.jsonl").read_text().splitlines()) == 12
    printed = capsys.readouterr()
    assert "mine: 3 problems x 4 samples" in printed.out
    assert f"{report['pass_at_k']['4']['value']:.3f}" in printed.out
    assert "report.json" in printed.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--n", "0"], "n=0; write a whole number from 1"),
        (["--n", "four"], "invalid int value: 'four'"),
        (["--model", "./missing"], "no model directory './missing'"),
        (["--task", "countdwn"], "Did you mean 'countdown'"),
        (["--task", "{name:"], "--task, line 1 is not valid YAML"),
        (["--engine", "vlm"], "Did you mean 'vllm'"),
        (["--engine", "{name: hf, dtype: half}"], "hf was given dtype='half'. Allowed: auto"),
        (["--temperature", "-1"], "temperature was given as -1.0"),
        (["--temperature", "hot"], "--temperature was given as 'hot'"),
        (["--temperature", "0.5,x"], "write a number, or several"),
        (["--temperature", "1,1.0"], "write each temperature once"),
        (["--template-arg", "enable_thinking"], "write key=value"),
        (["--template-arg", "a=1"], "is plain text, on which template_args would have no effect"),
        (["--system", "Be brief."], "is plain text, on which system would have no effect"),
        (["--system", "@no-such-file"], "no-such-file cannot be used"),
        (["--chat-template", "no-such-file"], "no-such-file cannot be used"),
        (["--thinking-tag", "<think>"], "the tag's name without brackets"),
        (["--partition", "final_anser"], "Did you mean 'final_answer'"),
        (["--adapter", "./missing"], "There is no adapter in './missing'"),
        (["--engine", "{name: openai, base_url: nowhere}"], "write http://host:port/v1"),
        (["--top-p", "0"], "top_p was given as 0.0"),
        (["--limit", "0"], "limit=0; write a whole number of at least 1"),
        (["--output", __file__], "is a file"),
        (["--output", str(Path(__file__).parent)], "but no evaluation"),
    ],
)
def test_each_mistake_is_one_sentence(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    arguments = ["eval", "--model", model, "--task", TASK, "--n", "4", "--output", str(tmp_path / "out")]
    assert main([*arguments, *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("rlkit: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_another_configuration_is_refused(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["eval", "--model", model, "--task", TASK, "--output", str(tmp_path), "--max-tokens", "5"]
    assert main([*arguments, "--n", "2"]) == 0
    assert main([*arguments, "--n", "3"]) == 2
    assert "n is 2 there and 3 here; choose another output" in capsys.readouterr().err


def test_several_temperatures_are_as_many_evaluations(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "eval",
        "--model",
        model,
        "--task",
        TASK,
        "--n",
        "4",
        "--max-tokens",
        "5",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main([*words, "--temperature", "0.6, 1"]) == 0
    reports = [json.loads((tmp_path / "out" / name / "report.json").read_text()) for name in ("t0.6", "t1")]
    assert [report["sampling"]["temperature"] for report in reports] == [0.6, 1.0]
    assert [report["name"] for report in reports] == ["out t0.6", "out t1"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["t0.6", "t1"]
    # A temperature of its own is an evaluation like any other.
    assert main([*words[:-1], str(tmp_path / "out" / "t0.6"), "--temperature", "0.6"]) == 0
    capsys.readouterr()
    assert main([*words, "--temperature", "0.6"]) == 2
    assert "but no evaluation" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "out" / "t1"), "--temperature", "0.5,2"]) == 2
    assert "holds one evaluation" in capsys.readouterr().err


def test_chat_settings_reach_the_model_and_its_configuration(model: str, tmp_path: Path) -> None:
    template, system = tmp_path / "template.jinja", tmp_path / "system.txt"
    template.write_text("{% for m in messages %}{{ m.content }} {% endfor %}{{ 'h' if loud else 'g' }}")
    system.write_text("b")
    task = f"{{name: {Path(__file__)}:Chats, num_problems: 3}}"
    words = [
        "eval",
        "--model",
        model,
        "--task",
        task,
        "--n",
        "2",
        "--max-tokens",
        "5",
        "--output",
        str(tmp_path / "out"),
    ]
    words += ["--chat-template", str(template), "--template-arg", "loud=true"]
    assert main([*words, "--system", f"@{system}"]) == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["config"]["chat"] == {
        "system": "b", "template": template.read_text(), "template_args": {"loud": True}
    }  # fmt: skip
    assert main([*words, "--system", "c"]) == 2
    assert main([*words, "--system", "b"]) == 0


class Chats(FirstLetter):
    """The same problems as chats."""

    def load(self, split: str) -> list[Row]:
        return [row | {"prompt": [{"role": "user", "content": row["prompt"]}]} for row in super().load(split)]

    def grade(self, completion: str, row: Row) -> Grade:
        return super().grade(completion, row | {"prompt": row["prompt"][0]["content"]})


def test_a_chat_without_a_template_is_one_sentence_and_loses_nothing(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = f"{{name: {Path(__file__)}:Chats, num_problems: 3}}"
    words = [
        "eval",
        "--model",
        model,
        "--task",
        task,
        "--n",
        "2",
        "--max-tokens",
        "5",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(words) == 2
    assert "has no chat template; choose" in capsys.readouterr().err.splitlines()[-1]
    template = tmp_path / "template.jinja"
    template.write_text("{{ messages[0].content }}")
    assert main([*words, "--chat-template", str(template)]) == 0


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["eval", "--help"])
    assert stop.value.code == 0
    assert "rlkit eval --model countdown-tiny --task countdown" in capsys.readouterr().out


def cell(value: float | None, defined: int = 4) -> dict[str, object]:
    limits = {"low": None, "high": None} if value is None else {"low": value / 2, "high": value * 2}
    return {"value": value, **limits, "num_defined": defined, "num_total": 4}


def test_undefined_numbers_and_warnings_are_said() -> None:
    names = ("distinct_correct", "solution_coverage", "token_entropy", "num_tokens", "truncated", "unscored")
    report = {
        "name": "x",
        "n": 1,
        "num_problems": 4,
        "pass_at_k": {"1": cell(0.25, 3)},
        "pass_hat_k": {"1": cell(0.25, 3)},
        "maj_at_k": {"1": cell(None, 0)},
        "metrics": {name: cell(0.25) for name in names} | {"solution_coverage": cell(None, 0)},
        "sampling": {"max_tokens": 7},
        "problems": [{"num_samples": 300, "num_unscored": at, "num_truncated": 0} for at in range(4)],
    }
    text = summarise(report)
    # What never happened has no interval, as if it had been found; what did is counted.
    assert "truncated          0 of 1,206 samples\n" in text
    assert text.endswith("unscored           6 of 1,206 samples (0.5%)")
    report["problems"][1]["num_truncated"] = None
    assert "truncated          not known" in summarise(report)
    assert "pass@1             0.250 [0.125, 0.500]  (3 of 4 problems)" in text
    assert "pass^1             0.250 [0.125, 0.500]  (3 of 4 problems)" in text
    assert "maj@1              undefined (0 of 4 problems)" in text
    assert "solution coverage  undefined (0 of 4 problems)" in text
    assert warnings_of(report) == [
        "25% of the samples were cut at 7 tokens and count as wrong; raise --max-tokens.",
        "25.0% of the samples could not be graded and are left out of every pass@k.",
    ]
