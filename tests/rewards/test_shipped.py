"""Every shipped reward plug-in keeps the cases it ships with, and the contract."""

from __future__ import annotations

import re

import pytest

from rlkit.errors import ConfigError
from rlkit.plugins import load_target
from rlkit.rewards import REWARDS, bind_reward, resolve_reward
from rlkit.rewards.engine import RewardEngine
from rlkit.shipped import shipped_dir, shipped_plugins
from rlkit.testing import check_reward
from rlkit.testing.trials import read_cases
from tests.servers.judging import server, tiny_classifier  # noqa: F401
from tests.verifiers.test_mathematics import CASES as MATHEMATICS
from tests.verifiers.test_mathematics import library

NAMES = sorted(REWARDS.builtins)
SLOW = {"code_tests", "math_verify", "llm_judge", "reward_model"}
"""Those that start processes a call, or need a server or a model."""


def test_every_file_is_a_reward_of_its_name():
    files = {path.stem for path in shipped_dir("rewards").glob("*.py")}
    assert {*NAMES} == files == {*shipped_plugins("rewards")}
    assert {"math_verify", "countdown", "overlong"} <= files
    for name in NAMES:
        assert callable(resolve_reward(name))


@pytest.mark.parametrize("name", NAMES)
def test_cases_have_right_and_wrong_ones_and_the_file_fits_on_a_screen(name):
    file = shipped_dir("rewards") / f"{name}.py"
    trials = read_cases(bind_reward(name), load_target(f"{file}:CASES", "cases"))
    values = {value for trial in trials for value in trial.expected}
    assert len(values) > 1 or name == "reward_model"
    assert len(file.read_text().splitlines()) <= (90 if name == "llm_judge" else 75)
    # The first paragraph's example is what a recipe says.
    assert re.search(rf"    (rewards|task): .*\b{name}\b|    rewards: \[{name}", file.read_text())


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize("name", [name for name in NAMES if name not in SLOW])
def test_shipped_rewards_keep_the_contract(name):
    assert check_reward(name).passed


@pytest.mark.slow
@pytest.mark.side_by_side
@pytest.mark.parametrize("spec", ["code_tests", {"name": "math_verify", "deadline_s": 10.0}], ids=str)
def test_shipped_rewards_with_processes_of_their_own_keep_the_contract(spec):
    # Machines under load need longer for a comparison that only just meets its deadline elsewhere.
    assert check_reward(spec, budget_s=60.0).passed


def test_mathematics_is_judged_as_the_library_judges():
    answers, golds, _ = zip(*MATHEMATICS, strict=True)
    texts = [f"so \\boxed{{{answer}}}" for answer in answers]
    scores = resolve_reward("math_verify")(texts, prompts=["p"] * len(texts), gold=list(golds))
    assert scores == [float(library(answer, gold)) for answer, gold, _ in MATHEMATICS]


def test_mathematics_without_a_gold_column_is_told():
    with pytest.raises(ConfigError, match="neither of the columns gold and solution"):
        resolve_reward("math_verify")(["4"], prompts=["p"])


@pytest.mark.parametrize("column", ["gold", "solution"])
def test_mathematics_reads_both_columns_and_gold_answers_in_any_dress(column):
    golds = ["4", "$4$", "\\boxed{4}", "2+2\n#### 4", 4, None]
    texts = ["\\boxed{4}"] * len(golds)
    scores = resolve_reward("math_verify")(texts, prompts=["p"] * len(golds), **{column: golds})
    assert scores == [1.0] * 5 + [None]


def test_the_engine_runs_them_by_name_with_parameters():
    specs = ["exact_match", {"name": "overlong", "max_length": 10, "margin": 5}, "majority_vote"]
    texts = ["<answer>a</answer>", "<answer>b</answer>", "<answer>a</answer>"]
    columns = {"gold": ["a"] * 3, "completion_ids": [[0] * 4, [0] * 10, [0] * 7]}
    with RewardEngine([bind_reward(spec) for spec in specs]) as engine:
        outcomes_KB = engine.score(texts, ["p"] * 3, columns, groups=[0] * 3)
    assert [[outcome.value for outcome in row] for row in outcomes_KB] == [[1, 0, 1], [0, -1, -0.4], [1, 0, 1]]


def test_a_tie_is_no_majority_in_any_order():
    vote = resolve_reward("majority_vote")
    a, b, c = "\\boxed{1}", "\\boxed{2}", "\\boxed{3}"
    assert vote([a, b, b, a]) == vote([b, a, b, a]) == [None] * 4
    assert vote([a, b, c, b]) == [0.0, 1.0, 0.0, 1.0]


def say(text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return 200, {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


@pytest.fixture
def judge(server, tmp_path):  # noqa: F811
    """Return the judge of the server, and the keywords that reach it."""
    given = {"model": "m", "base_url": f"{server.url}/v1", "cache": str(tmp_path / "said.sqlite"), "deadline_s": 5.0}
    return lambda texts, **columns: resolve_reward("llm_judge")(texts, prompts=["p"] * len(texts), **columns, **given)


def test_a_judge_is_asked_by_the_rubric_and_only_once(judge, server):  # noqa: F811
    def answer(path, request):
        question = request["messages"][0]["content"]
        assert "Rubric: be polite" in question
        assert "<task>\np\n</task>" in question
        return say("It says please.\nYES" if "please" in question else "NO")

    server.answer = answer
    for _ in range(2):
        assert judge(["please go", "go", " "], rubric="be polite") == [1.0, 0.0, 0.0]
    assert len(server.requests) == 2


def test_a_judge_that_favours_a_place_says_one_half(judge, server):  # noqa: F811
    server.answer = lambda path, request: say("YES")
    assert judge(["mine"], reference=["theirs"]) == [0.5]
    better = "<reply_2>\nmine"
    server.answer = lambda path, request: say("YES" if better in request["messages"][0]["content"] else "NO")
    assert judge(["mine", "worse"], reference=["other", "mine"]) == [1.0, 0.0]


def test_a_judge_that_cannot_be_read_scores_nothing_and_is_asked_again_later(judge, server):  # noqa: F811
    server.answer = lambda path, request: say("It depends.")
    assert judge(["mine"]) == [None]
    server.answer = lambda path, request: say("yes.")
    assert judge(["mine"]) == [1.0]


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_judge_keeps_the_contract(server, tmp_path):  # noqa: F811
    server.answer = lambda path, request: say("NO")
    spec = {"name": "llm_judge", "model": "m", "base_url": f"{server.url}/v1", "cache": str(tmp_path / "said.sqlite")}
    base = {key: value for key, value in spec.items() if key != "name"}
    cases = [({"completions": ["", "4"], "prompts": ["?", "?"], **base}, [0.0, 0.0])]
    assert check_reward("llm_judge", cases, budget_s=30.0).passed


def test_a_reward_model_here_and_behind_a_server_gives_the_last_class(tiny_classifier, server):  # noqa: F811
    from rlkit.diversity.classify_here import classify_pairs

    path = tiny_classifier(num_labels=1)
    texts, prompts = ["a b c", "d e"], ["1 + 2", "3"]
    scores = resolve_reward("reward_model")(texts, prompts=prompts, model=path)
    pairs = list(zip(prompts, texts, strict=True))
    want = classify_pairs(path, pairs, "{first}\n{second}", keep="last", batch_size=1, device=None)
    assert scores == pytest.approx([share for (share,) in want])
    assert len({*scores}) == 2

    def answer(route, request):
        assert route == "/classify"
        assert request["input"] == ["1 + 2\na b c", "3\nd e"]
        return 200, {"data": [{"index": place, "probs": [0.75, 0.25 * place]} for place in range(2)]}

    server.answer = answer
    assert resolve_reward("reward_model")(texts, prompts=prompts, model="m", url=server.url) == [0.0, 0.25]
    assert resolve_reward("reward_model")(texts, prompts=prompts, model="m", url=server.url, label=0) == [0.75, 0.75]


@pytest.mark.slow
@pytest.mark.side_by_side
def test_a_reward_model_keeps_the_contract(tiny_classifier):  # noqa: F811
    path = tiny_classifier(num_labels=1)
    (score,) = resolve_reward("reward_model")(["a b"], prompts=["1"], model=path)
    cases = [({"completions": ["a b"], "prompts": ["1"], "model": path}, [score])]
    assert check_reward("reward_model", cases, budget_s=60.0).passed


def test_the_language_of_a_completion_is_measured_by_sentences():
    share = resolve_reward("language_consistency")
    english, german = "We have to find the number of apples.", "Wir haben alle die Anzahl der Birnen gesucht."
    value = share(f"{english}\n{german}", "?", language="en")
    letters = [sum(map(str.isalpha, text)) for text in (english, german)]
    assert value == pytest.approx(letters[0] / sum(letters))
    assert share(f"{english} $Wir haben alle$ `die Anzahl der Birnen gesucht`", "?", language="en") == 1.0
    assert share("ok", "?", language="en") is None


def test_repetition_is_one_less_distinct_n():
    from rlkit.diversity.lexical import distinct_n

    penalty = resolve_reward("repetition")
    text = "the cat and the dog and the cat and a bird"
    for n in (1, 2, 3):
        assert penalty(text, n=n) == pytest.approx(distinct_n([text], n) - 1)
    with pytest.raises(ConfigError):
        penalty(text, n=0)
