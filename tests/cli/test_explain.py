"""`rlkit explain` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.advantages import ADVANTAGES, GroupContext, resolve
from rlkit.cli import explain, main
from rlkit.explaining import fields, group_table
from tests.test_layers import HEAVY, ROOT

REDUNDANT = ["--rewards", "1,1,1,0", "--labels", "0,0,1,2"]


@pytest.fixture(autouse=True)
def width(monkeypatch):
    """The width that is used off a terminal, whatever the shell around the tests exports."""
    monkeypatch.setenv("COLUMNS", "100")


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["explain", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["explain", *words]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["explain", *words]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.count("\n") == 1
    return streams.err


def test_the_table_shows_every_stage_and_the_words_who_is_pushed(capsys):
    out = printed(capsys, "darling", *REDUNDANT)
    rows = [line.split() for line in out.splitlines() if line.split()[:1] in (["1"], ["2"], ["3"], ["4"])][:4]
    # Two siblings of three differ from completions 1 and 2, all three from 3; the mean of the products is 7/12.
    assert rows == [
        ["1", "1", "0", "0.667", "+0.083"],
        ["2", "1", "0", "0.667", "+0.083"],
        ["3", "1", "1", "1.000", "+0.417"],
        ["4", "0", "2", "0.000", "-0.583"],
    ]
    assert "Pushed up: 1, 2, 3; pushed down: 4. Sum of advantages 0.000." in out
    assert "1  multiply_by_distinctness: Multiply each value by the share of its siblings" in out
    assert "2  subtract_group_mean: Subtract the mean" in out
    assert "no signal" not in out


def test_headings_name_only_parameters_that_differ_from_their_defaults(capsys):
    plain = printed(capsys, "darling", *REDUNDANT)
    assert "=" not in plain.replace("= advantage", "")
    changed = explained(capsys, "[{name: darling, floor: 0.0}, {name: clip_by_abs, limit: 0.5}]", *REDUNDANT)
    assert [stage["parameters"] for stage in changed["stages"]] == [{"floor": 0.0}, {}, {"limit": 0.5}]
    assert "floor=0\n" in group_table._head(changed["stages"][0]) + "\n"


def test_json_holds_what_the_chain_computes(capsys):
    found = explained(capsys, "darling", *REDUNDANT)
    chain, labels_PG = resolve("darling"), np.array([[0, 0, 1, 2]])
    expected = chain(np.array([[1.0, 1.0, 1.0, 0.0]]), GroupContext(labels_PG=labels_PG))
    np.testing.assert_allclose(found["advantages"], expected)
    assert found["stages"][-1]["values"] == found["advantages"]
    assert [stage["name"] for stage in found["stages"]] == ["multiply_by_distinctness", "subtract_group_mean"]
    assert found["facts"] == {"reward": [[1, 1, 1, 0]], "label": [["0", "0", "1", "2"]]}
    assert found["groups"][0]["pushed_down"] == [4]


def test_words_serve_as_labels_and_answers(capsys):
    digits = explained(capsys, "darling", *REDUNDANT)["advantages"]
    words = explained(capsys, "darling", "--rewards", "1,1,1,0", "--labels", "swap, swap,split ,guess")["advantages"]
    assert words == digits
    answered = explained(capsys, "outcome_batch", "--rewards", "1,1,0,0", "--answers", "x,x,none,y")
    before, after = (np.array(stage["values"][0]) for stage in answered["stages"][1:])
    np.testing.assert_allclose(after - before, 0.2 * np.array([-0.25, -0.25, 0, 0]))


def test_unscored_completions_are_dashes_with_their_meaning_told(capsys):
    found = explained(capsys, "grpo", "--rewards", "1,none,0,NaN")
    assert found["advantages"][0][1] is None
    assert found["groups"][0]["no_signal"] == [2, 4]
    out = printed(capsys, "grpo", "--rewards", "1,none,0,NaN")
    assert "no signal: 2, 4" in out
    assert "A dash among the values is no signal" in out
    assert "nan" not in out
    nothing = printed(capsys, "grpo", "--rewards", "none,none")
    assert "No signal from any completion." in nothing


def test_groups_are_parted_by_semicolons_and_batch_stages_see_them_all(capsys):
    spec = "[subtract_group_mean, {name: divide_by_batch_std, ddof: 0}]"
    found = explained(capsys, spec, "--rewards", "1,1,0,0; 1,0,0,0")
    centred = np.array([[0.5, 0.5, -0.5, -0.5], [0.75, -0.25, -0.25, -0.25]])
    np.testing.assert_allclose(found["advantages"], centred / (centred.std() + 1e-4))
    out = printed(capsys, "nsr", "--rewards", "1,1,0,0; 0,0,0,none")
    assert "Group 1: pushed down: 3, 4; not pushed: 1, 2. Sum of advantages -2.000, so the group" in out
    assert "Group 2: pushed down: 1, 2, 3; no signal: 4." in out


def test_token_log_probs_may_be_of_different_lengths(capsys):
    words = ["--rewards", "1,1,0,0", "--logps", "-.1 -.9,-.4,-2 -1 -.1,none", "--prompt-logps", "-.5 -.1"]
    found = explained(capsys, "{name: pro_grpo, fraction: 1.0, coef: 1.0}", *words)
    before, after = (stage["values"][0] for stage in found["stages"][1:])
    np.testing.assert_allclose(np.exp(-0.3) - np.exp([-0.5, -0.4, -3.1 / 3]), np.subtract(after[:3], before[:3]))
    assert after[3] is None
    ranked = explained(capsys, "unlikeliness", "--rewards", "1,1,1", "--logps", "-.1 -.9,-.4,-2")["stages"][0]
    np.testing.assert_allclose(ranked["values"][0], [1 - 0.25 / 3, 1 - 0.5 / 3, 1])


def test_values_that_start_with_a_minus_are_values(capsys):
    comma = explained(capsys, "unlikeliness", "--rewards", "1,1,0", "--mean-logps", "-.2,-.5,-.1")
    spaced = explained(capsys, "unlikeliness", "--rewards", "1,1,0", "--mean-logps", "-0.2, -0.5, -0.1")
    assert comma["advantages"] == spaced["advantages"]
    assert explained(capsys, "grpo", "--rewards", "-1,1")["facts"]["reward"] == [[-1, 1]]


def test_binary_rewards_say_which_are_correct_and_the_option_overrules_them(capsys):
    correct_only = "{name: multiply_by_distinctness, among: correct, floor: 0.0}"
    read = explained(capsys, correct_only, *REDUNDANT)["advantages"][0]
    assert read == [0.5, 0.5, 1.0, 0.0]
    told = explained(capsys, correct_only, *REDUNDANT, "--correct", "0,1,1,0")["advantages"][0]
    assert told == [1.0, 1.0, 1.0, 0.0]


def test_embeddings_are_vectors(capsys):
    words = ["--rewards", "1,1,0,1", "--embeddings", "1 0,.8 .6,0 1,.6 .8"]
    found = explained(capsys, "dra_grpo", *words)
    np.testing.assert_allclose(found["advantages"][0], [0.920422, 0.251024, -1.422471, 0.251024], atol=1e-5)
    assert "0.8 0.6" in printed(capsys, "dra_grpo", *words)


def test_what_was_seen_of_a_prompt_before_is_two_numbers(capsys):
    words = ["{name: bbg, history: true, all_wrong: 0.5}", "--rewards", "0,0,0,0; 1,0,0,0", "--pass-counts", "3 8; 0 0"]
    found = explained(capsys, *words)
    known, new = (group[0] for group in found["advantages"])
    assert -0.5 < known < 0 < new
    assert "two numbers a prompt" in refused(capsys, *words[:-1], "3 2; 0 0")
    assert "whole numbers" in refused(capsys, *words[:-1], ".5 2; 0 0")


def test_the_reference_is_a_column_of_its_own(capsys):
    words = ["--rewards", "1,0", "--mean-logps", "-.2,-.5", "--ref-mean-logps", "-.5,-.5"]
    assert "ref logp" in printed(capsys, "flow_rl", *words)
    found = explained(capsys, "[{name: subtract_drift, beta: 1.0}]", *words)
    np.testing.assert_allclose(found["advantages"], [[0.7, 0.0]])


def test_a_recipe_lends_its_advantage(capsys, tmp_path):
    named = explained(capsys, "countdown/darling", *REDUNDANT)
    assert named["advantages"] == explained(capsys, "darling", *REDUNDANT)["advantages"]
    file = tmp_path / "mine.yaml"
    file.write_text("advantage: [{name: darling, floor: 0.5}]\n")
    assert explained(capsys, str(file), *REDUNDANT)["stages"][0]["parameters"] == {"floor": 0.5}


def test_a_function_of_ones_own_is_a_stage(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text('def halve(values_PG, ctx):\n    """Halve every value."""\n    return values_PG / 2\n')
    found = explained(capsys, f"[subtract_group_mean, '{file}:halve']", "--rewards", "1,0")
    assert found["advantages"] == [[0.25, -0.25]]
    assert found["stages"][1]["name"] == "halve"
    assert found["stages"][1]["says"] == "Halve every value."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["darling"], "darling starts from rewards; add --rewards 1,1,1,0 --labels 0,0,1,2."),
        (["darling", "--rewards", "1,1,1,0"], "darling needs labels; add --labels 0,0,1,2."),
        (["darling", "--rewards", "1,0;0,1"], 'add --labels "0,0; 0,0".'),
        (["outcome_ucb", "--rewards", "1,0"], "needs answers and counts; add --answers 7,7 --counts 9,9."),
        (["pro_grpo", "--rewards", "1,0"], 'add --logps "-.1 -.9,-.4" --prompt-logps "-.5 -.1 -2.3".'),
        (
            ["nsr", "--rewards", "1,.5"],
            "weight_by_correctness needs correctness, which only rewards of 0 and 1 say; add",
        ),
        (["grpo", "--rewards", "1,two"], "--rewards has 'two', which is not a number"),
        (["grpo", "--rewards", "1,inf"], "--rewards has 'inf'; write a finite number, or none."),
        (["grpo", "--rewards", "1,,0"], "--rewards has an empty place"),
        (["grpo", "--rewards", ""], "--rewards has an empty place"),
        (["grpo", "--rewards", "1,1,0;1,0"], "groups of 3, 2 completions"),
        (["darling", "--rewards", "1,1", "--labels", "a"], "--labels has 1 values in a group and --rewards 2."),
        (["darling", "--rewards", "1,1", "--labels", "a,b;a,b"], "--labels has 2 and --rewards 1 groups"),
        (["darling", "--rewards", "1,1", "--labels", "a,none"], "every completion is of a class"),
        (["grpo", "--rewards", "1,0", "--correct", "1,2"], "write 1 for correct, 0 for wrong or none"),
        (["grpo", "--rewards", "1,0", "--lengths", "1,-2"], "--lengths has -2; it takes whole numbers of at least 0."),
        (["grpo", "--rewards", "1,0", "--lengths", "1,.5"], "--lengths has .5; it takes whole numbers"),
        (["dqo", "--rewards", "1,0", "--embeddings", "1,1e200"], "--embeddings has '1e200'; write a number of at most"),
        (["grpo", "--rewards", "1,1e400"], "--rewards has '1e400'; write a finite number, or none."),
        (["[[grpo]]", "--rewards", "1,0"], "was given ['grpo'], which cannot be called"),
        (["{name: grpo, 3: 4}", "--rewards", "1,0"], "was given the parameter 3; names are words."),
        (["{name: grpo, eps: .inf}", "--rewards", "1,0"], "eps=inf; write a number above 0."),
        (["{name: grpo, eps: " + "9" * 500 + "}", "--rewards", "1,0"], "…; write a number above 0."),
        (["a" * 5000, "--rewards", "1,0"], "No preset, transform or recipe is called 'aaa"),
        (["a/" * 3000, "--rewards", "1,0"], "no such file, and no shipped recipe"),
        (["os:system", "--rewards", "1,0"], "'system' cannot be called as f(values_PG, ctx)"),
        (["grpo", "--rewards", "1,0", "--mean-logps", ".1,-2"], "logarithms of probabilities are 0 or less"),
        (["dqo", "--rewards", "1,0", "--embeddings", "1 0,1"], "--embeddings has vectors of 1, 2 numbers"),
        (["darlin", "--rewards", "1,0"], "Did you mean 'darling'?"),
        (["xyzzy", "--rewards", "1,0"], "See rlkit explain --list."),
        (["{name: darling", "--rewards", "1,0"], "is not valid YAML"),
        (["{name: darling, roof: 1}", "--rewards", "1,0"], "has no parameter 'roof'"),
        (["steer", "--rewards", "1,0"], "steer is an objective: it changes the loss"),
        (["recipes/countdown/base.yaml", "--rewards", "1,0"], "names no advantage and leaves it to TRL"),
        (["passk_grpo", "--rewards", "1,0"], "k=4, but its groups allow at most 2"),
    ],
)
def test_mistakes_get_one_sentence(capsys, words, said):
    assert said in refused(capsys, *words)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "fails while being imported: SystemExit(3)"),
        ("def (", "fails while being imported: SyntaxError"),
        ("class mine:\n    def __init__(self):\n        raise RuntimeError('a\\nb')", "RuntimeError: a b."),
        ("def mine(values_PG, ctx):\n    return 1 / 0", "'mine' failed in line 2 of "),
        ("def mine(values_PG, ctx):\n    return values_PG[0]", "values of shape (2,); return one number a completion"),
        ("def mine(values_PG):\n    return values_PG", "cannot be called as f(values_PG, ctx)"),
        ("mine = 3", "was given 3, which cannot be called"),
    ],
)
def test_stages_of_ones_own_that_fail_get_one_sentence(capsys, tmp_path, code, said):
    (tmp_path / "mine.py").write_text(code + "\n")
    assert said in refused(capsys, f"{tmp_path}/mine.py:mine", "--rewards", "1,0")


def test_lists_of_lists_of_lists_are_refused_at_once(capsys, tmp_path):
    bomb = ["a: &a [x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefghij", "bcdefghijk", strict=True):
        bomb.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]")
    (tmp_path / "bomb.yaml").write_text("\n".join([*bomb, "advantage: *k", ""]))
    assert "which cannot be called" in refused(capsys, f"{tmp_path}/bomb.yaml", "--rewards", "1,0")


def test_counts_that_are_given_but_incomplete_keep_the_transforms_own_sentence(capsys):
    words = ["outcome_ucb", "--rewards", "1,0", "--answers", "7,3", "--counts", "9,none"]
    assert "found no count for an answer" in refused(capsys, *words)


def test_examples_of_missing_facts_are_accepted(capsys):
    for name in ADVANTAGES.names():
        spec = f"{{name: {name}, limit: 1}}" if name == "clip_by_abs" else name
        words = ["--rewards", "1,1,0,0,1,0; 0,0,0,0,1,1"]
        for option, fact in fields.GROUP_FIELDS.items():
            if option != "rewards":
                words += [fields.flag(option), fact.write_example(2, 6).strip('"')]
        found = explained(capsys, spec, *words)
        assert np.shape(found["advantages"]) == (2, 6), name


def test_a_file_of_facts_says_what_the_options_say(capsys, tmp_path):
    words = ["--rewards", "1,none,0; 0,1,1", "--logps", "-.1 -.9,-.4,none; -1,-2 -3,-.1", "--prompt-logps", "-.5;-1 -2"]
    typed = explained(capsys, "pro_grpo", *words)
    facts = {
        "rewards": [[1, None, 0], [0, 1, 1]],
        "logps": [[[-0.1, -0.9], [-0.4], None], [[-1], [-2, -3], [-0.1]]],
        "prompt_logps": [[-0.5], [-1, -2]],
    }
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    assert explained(capsys, "pro_grpo", "--facts", str(tmp_path / "facts.json")) == typed
    (tmp_path / "facts.yaml").write_text("rewards: [1, 1, 1, 0]\nlabels: [a, a, b, c]\n")
    one = explained(capsys, "darling", "--facts", str(tmp_path / "facts.yaml"), "--labels", "0,0,1,2")
    assert one == explained(capsys, "darling", *REDUNDANT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reward: [1, 0]", "'reward', which is no fact. Did you mean 'rewards'?"),
        ("labels: [a, b]", "darling starts from rewards; add --rewards 1,1,1,0."),
        ("rewards: 3", "--rewards was given 3; write a list"),
        ("rewards: [1, [0]]", "--rewards has [0], which is not a number"),
        ("rewards: [1, two]", "--rewards has 'two', which is not a number"),
        ("rewards: [[1, 0], [0, 1]]\nlabels: [a, b]", "--labels has the group 'a'; write a list"),
        ("[1, 2]", "write a mapping such as"),
        ("rewards: [1", "is not valid YAML"),
    ],
)
def test_mistakes_in_a_file_of_facts_get_one_sentence(capsys, tmp_path, text, said):
    (tmp_path / "facts.yaml").write_text(text)
    assert said in refused(capsys, "darling", "--facts", str(tmp_path / "facts.yaml"))
    assert "cannot be read" in refused(capsys, "darling", "--facts", str(tmp_path / "none.yaml"))


def test_the_list_names_every_preset_and_what_it_needs(capsys):
    assert main(["explain", "--list", "--json"]) == 0
    found = {spec["name"]: spec for spec in json.loads(capsys.readouterr().out)}
    assert {*found} >= {*ADVANTAGES.builtins}
    assert found["darling"]["kind"] == "preset"
    assert found["multiply_by_distinctness"]["kind"] == "transform"
    assert found["darling"]["needs"] == ["--labels"]
    assert found["pro_grpo"]["needs"] == ["--logps", "--prompt-logps"]
    assert found["outcome_ucb"]["needs"] == ["--answers", "--counts"]
    assert all(spec["says"] for spec in found.values())
    out = printed(capsys)
    assert all(name in out for name in found)


@pytest.mark.parametrize("width", [40, 80, 100, 140])
def test_nothing_is_cut_at_any_width(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    words = [
        "--rewards",
        "1,1,0,0",
        "--answers",
        "7,7,3,none",
        "--embeddings",
        "1 0,1 0,0 1,.6 .8",
        "--lengths",
        "5,7,5,9",
    ]
    spec = "[{name: novelty_bands, ties: formula}, subtract_leave_one_out, {name: divide_by_batch_std, take: rewards}]"
    out = printed(capsys, spec, *words)
    assert "ties=formula" in out
    assert "= advantage" in out
    assert "…" not in out
    assert "\x1b" not in out
    table, legend = out.split("Pushed up")
    assert max(map(len, legend.splitlines())) <= max(width, max(map(len, table.splitlines())))
    if width >= 100:
        assert max(map(len, out.splitlines())) <= width


def test_it_loads_no_heavy_library() -> None:
    script = f"""
import sys
from rlkit.cli import main
assert main({["explain", "countdown/darling", *REDUNDANT]}) == 0
assert main(["explain", "--list"]) == 0
print("loaded:", *sorted({{*{HEAVY}}} & {{*sys.modules}}))
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "loaded:"


def test_every_example_of_the_help_runs(capsys, monkeypatch):
    import shlex

    monkeypatch.chdir(Path(ROOT))
    lines = [line for line in explain._DESCRIPTION.splitlines() if line.startswith("  rlkit ")]
    assert len(lines) >= 4
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, line
