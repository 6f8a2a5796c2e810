"""Rewards are named with parameters and settings, and what does not fit is said before anything is loaded."""

from __future__ import annotations

import functools
import pickle

import pytest

import rlkit
from rlkit.errors import ConfigError, PluginError
from rlkit.rewards import bind_reward, check_columns, name_rewards, resolve_reward
from rlkit.rewards.bound_reward import digest_reward, settable
from rlkit.rewards.calls import split_calls
from rlkit.rewards.contract import score_batch

TEXT = """
import rlkit

@rlkit.reward(isolation="process", deadline_s=5, role="penalty")
def overlong(completion, target=None, *, max_length=4, **columns):
    return -float(len(completion) > max_length)

def plain(prompts, completions, *, scale, **columns):
    return [scale] * len(prompts)

async def asks(completions, **columns):
    return [1.0] * len(completions)

class Weighs:
    reward_form = "completion"
    def __init__(self, weight=1.0):
        self.weight = weight
    def __call__(self, completion):
        return self.weight
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(TEXT)
    return f"{tmp_path}/mine.py"


def test_keyword_parameters_are_bound(file):
    bound = bind_reward({"name": f"{file}:overlong", "max_length": 2})
    assert (bound.name, bound.form, bound.role) == ("overlong", "completion", "penalty")
    assert bound.function("abc") == -1.0
    # A column of the same name does not overrule the recipe.
    assert score_batch(bound.function, ["abc", "a"], prompts=["p", "p"], max_length=[9, 9]) == [-1.0, 0.0]
    assert bind_reward(f"{file}:overlong").function("abc") == 0.0


def test_parameters_of_batch_rewards_and_classes(file):
    assert bind_reward({"name": f"{file}:plain", "scale": 0.5}).function(prompts=["p"], completions=["c"]) == [0.5]
    bound = bind_reward({"name": f"{file}:Weighs", "weight": 3.0, "run": {"isolation": "process"}})
    assert (bound.function("c"), bound.form, bound.run.isolation) == (3.0, "completion", "process")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"name": "overlong", "max_lenght": 2}, "no parameter 'max_lenght'. Did you mean 'max_length'?"),
        ({"name": "overlong", "completion": "x"}, "no parameter 'completion'"),
        ({"name": "asks", "scale": 1}, "no parameter 'scale'. It takes none."),
        ({"name": "nowhere", "scale": 1}, "nothing called 'nowhere'"),
    ],
)
def test_unknown_parameters_are_refused_with_a_suggestion(file, spec, said):
    with pytest.raises(PluginError) as raised:
        bind_reward(spec | {"name": f"{file}:{spec['name']}"})
    assert said in str(raised.value)


def test_the_recipe_overrules_the_author(file):
    run = bind_reward(f"{file}:overlong").run
    assert (run.isolation, run.deadline_s) == ("process", 5)
    run = bind_reward({"name": f"{file}:overlong", "run": {"deadline_s": 1, "cache": True}}).run
    assert (run.isolation, run.deadline_s, run.cache) == ("process", 1, True)
    run = bind_reward({"name": f"{file}:overlong", "run": {"isolation": "inline"}}).run
    assert (run.isolation, run.deadline_s) == ("inline", None)
    assert bind_reward(f"{file}:asks").run.isolation == "async"


def test_the_recipe_says_the_role(file):
    assert bind_reward({"name": f"{file}:plain", "scale": 1.0, "run": {"role": "modifier"}}).role == "modifier"
    bound = bind_reward({"name": f"{file}:overlong", "run": {"role": "base", "deadline_s": 1}})
    assert (bound.role, bound.run.deadline_s, bound.run.isolation) == ("base", 1, "process")
    assert bind_reward(resolve_reward({"name": f"{file}:overlong", "run": {"role": "base"}})).role == "base"


def test_what_neither_data_nor_recipe_gives_is_said(file):
    check_columns(bind_reward({"name": f"{file}:plain", "scale": 1.0}), ["prompt"])
    check_columns(bind_reward(f"{file}:plain"), ["prompt", "scale"])
    check_columns(bind_reward(f"{file}:overlong"), [])
    check_columns(bind_reward(f"{file}:Weighs"), [])
    with pytest.raises(ConfigError, match=r"plain needs 'scale', which .* rows do not have; they have prompt, target"):
        check_columns(bind_reward(f"{file}:plain"), ["target", "prompt"])


def test_rewards_of_one_name_are_numbered(file):
    plain = resolve_reward(f"{file}:plain")
    assert name_rewards([plain, resolve_reward({"name": f"{file}:plain", "scale": 2}), plain]) == [
        "plain",
        "plain_2",
        "plain_3",
    ]


@pytest.mark.parametrize(
    ("name", "run", "said"),
    [
        ("plain", {"role": "bonus"}, "run was given role='bonus'. Allowed: base, modifier, penalty"),
        ("overlong", {"isolaton": "process"}, "Did you mean 'isolation'?"),
        ("overlong", {"isolation": "docker"}, "isolation='docker'"),
        ("overlong", {"isolation": "async"}, "no async function; write inline or process"),
        ("asks", {"isolation": "process"}, "an async function; write async"),
        ("plain", {"deadline_s": 5}, "nothing can interrupt"),
        ("plain", {"deadline_s": float("inf"), "isolation": "process"}, "deadline_s=inf"),
        ("plain", {"num_workers": 0}, "num_workers=0"),
        ("plain", {"memory_mb": 1}, "memory_mb=1"),
        ("plain", "process", "run was given as 'process'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(file, name, run, said):
    with pytest.raises(ConfigError) as raised:
        bind_reward({"name": f"{file}:{name}", "run": run})
    assert said in str(raised.value)


def test_decorators_are_checked_where_they_are_written():
    with pytest.raises(ConfigError, match="Did you mean 'retries'"):
        rlkit.reward(retrys=2)(lambda completion: 1.0)
    with pytest.raises(ConfigError, match="role='bonus'"):
        rlkit.group_reward(role="bonus")(lambda completion: 1.0)
    with pytest.raises(ConfigError, match="nothing can interrupt"):
        rlkit.reward(deadline_s=5)(lambda completion: 1.0)


def test_what_was_resolved_keeps_its_marks_when_bound_again(file):
    spec = {"name": f"{file}:overlong", "max_length": 2, "run": {"num_workers": 3}}
    assert bind_reward(resolve_reward(spec)).run == bind_reward(spec).run
    assert resolve_reward(spec).__name__ == "overlong"
    with pytest.raises(PluginError, match="cannot be called"):
        bind_reward("math:pi")
    with pytest.raises(PluginError, match="does not tell its parameters"):
        bind_reward("builtins:max")


def test_digests_follow_source_and_parameters(file, tmp_path):
    def digest(**params):
        return digest_reward(bind_reward({"name": f"{file}:overlong", **params}))

    assert digest(max_length=2) == digest(max_length=2) != digest(max_length=3)
    assert len({digest_reward(bind_reward({"name": f"{file}:Weighs", "weight": w})) for w in (1.0, 2.0, 1.0)}) == 2
    assert digest_reward(bind_reward({"name": f"{file}:Weighs", "weight": object()})) is None
    before = digest()
    (tmp_path / "mine.py").write_text(TEXT + "\n# changed\n")
    assert digest() != before
    assert digest_reward(bind_reward(len)) is None


def test_marks_survive_pickling_of_importable_rewards():
    bound = bind_reward({"name": "countdown", "run": {"isolation": "process"}})
    again = pickle.loads(pickle.dumps(bound))
    assert (again.name, again.run, again.form) == (bound.name, bound.run, bound.form)


def test_a_partial_is_what_its_function_is(file):
    def plain(completions, *, weight=1.0, **columns):
        return [weight] * len(completions)

    @rlkit.group_reward(role="modifier")
    def shaped(completions, *, share=0.5):
        return [share] * len(completions)

    assert bind_reward(functools.partial(plain, weight=2.0)).name == "plain"
    bound = bind_reward(functools.partial(shaped, share=0.1))
    assert (bound.name, bound.form, bound.role) == ("shaped", "group", "modifier")
    assert name_rewards([functools.partial(plain), plain]) == ["plain", "plain_2"]


def test_defaults_of_trls_form_are_the_authors_and_marked_rewards_ask_by_name():
    def plain(completions, *, step=5, truncated="mine", lengths=(), **columns):
        return [float(step)] * len(completions)

    def asks(completions, *, step, **columns):
        return [float(step)] * len(completions)

    @rlkit.reward
    def marked(completion, *, step=0):
        return float(step)

    known = {"step": 7, "truncated": [True], "lengths": [3]}
    for function, value in ((plain, 5.0), (asks, 7.0), (marked, 7.0)):
        bound = bind_reward(function)
        (call,) = split_calls(bound, ["a"], ["p"], {}, known)
        given = bound.function(*call.args, **call.kwargs)
        assert (given if isinstance(given, float) else given[0]) == value
    assert bind_reward(plain).asks_for("step") is False
    assert settable(plain) == ["step", "truncated", "lengths"]
    assert settable(marked) == []
