"""GAE token by token, as `rlkit explain ppo` says it."""

from __future__ import annotations

import json

import pytest

from rlkit.cli import main
from rlkit.errors import ConfigError
from rlkit.explaining.tokens import explain_tokens


def column(found, name, completion=0):
    return [token[name] for token in found["completions"][completion]["tokens"]]


def test_a_completions_reward_is_its_last_tokens():
    found = explain_tokens({"rewards": "1,0", "values": "0.5 0.6 0.7, 0.4 0.3"})
    assert column(found, "reward") == [0, 0, 1]
    assert column(found, "delta") == pytest.approx([0.1, 0.1, 0.3])
    assert column(found, "advantage") == pytest.approx([0.46575, 0.385, 0.3], abs=1e-6)
    assert column(found, "return") == pytest.approx([1, 1, 1])
    assert column(found, "advantage", 1) == pytest.approx([-0.385, -0.3], abs=1e-6)


def test_rewards_may_be_of_tokens_and_lists():
    found = explain_tokens({"rewards": [[0.5, 1.0]], "values": [[0.0, 0.0]], "lambda_policy": 1})
    assert column(found, "advantage") == pytest.approx([1.5, 1.0])


@pytest.mark.parametrize(
    ("inside", "advantages", "returns"),
    [("false", [0.45575, 0.365, 0.27], [1, 1, 1]), ("true", [0.409675, 0.3365, 0.27], [0.94, 0.95, 0.97])],
)
def test_a_divergence_inside_or_outside(inside, advantages, returns):
    given = {"rewards": "1", "values": "0.5 0.6 0.7", "kl": "0.1 0.2 0.3", "kl_in_gae": inside}
    found = explain_tokens(given)
    assert column(found, "advantage") == pytest.approx(advantages, abs=1e-6)
    assert column(found, "return") == pytest.approx(returns, abs=1e-6)
    assert ("penalty" in found["completions"][0]["tokens"][0]) == (inside == "false")


def test_what_follows_a_truncated_completion():
    found = explain_tokens({"rewards": "0", "values": "0.3 0.4 0.5", "bootstrap": "0.45"})
    assert column(found, "advantage") == pytest.approx([0.149875, 0.0525, -0.05], abs=1e-6)


def test_lambdas_by_length_and_whitening():
    found = explain_tokens(
        {"rewards": "1,0", "values": "0 0 0,0", "lambda_policy": "{relative_position: 0.25}", "whiten": "true"}
    )
    assert found["completions"][0]["lambda_policy"] == pytest.approx(0.5)
    whitened = column(found, "whitened") + column(found, "whitened", 1)
    assert sum(whitened) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"values": None}, "ppo needs values; add --values"),
        ({"rewards": None}, "ppo needs rewards; add --rewards"),
        ({"rewards": "1 2 3"}, r"rewards are of \[3\] tokens and values of \[2\]"),
        ({"kl": "0.1"}, r"kl are of \[1\] tokens"),
        ({"gamma": "2"}, "gamma"),
        ({"lambda_policy": "-1"}, "lambda_policy"),
        ({"values": "a b"}, "values holds 'a'"),
        ({"values": "0.5,,0.5"}, "at least one token"),
        ({"bootstrap": "1,2"}, "one number for each of 1"),
        ({"whiten": "perhaps"}, "write true or false"),
    ],
)
def test_what_cannot_be_read_is_said(changes, says):
    with pytest.raises(ConfigError, match=says):
        explain_tokens({"rewards": "1", "values": "0.5 0.6", **changes})


def test_the_command_prints_a_table_or_json(capsys):
    words = ["explain", "ppo", "--rewards", "1", "--values", "0.5 0.6 0.7"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "0.385" in told
    assert "lambda 0.95 for advantages and 1 for returns" in told
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["completions"][0]["lambda_value"] == 1.0


def test_options_of_tokens_are_of_no_chain(capsys):
    assert main(["explain", "grpo", "--rewards", "1,0", "--values", "1"]) == 2
    assert "--values is of tokens" in capsys.readouterr().err


def test_a_file_of_facts_and_options_that_win(tmp_path, capsys):
    path = tmp_path / "facts.yaml"
    path.write_text("rewards: [1]\nvalues: [[0.0, 0.0]]\ngamma: 0.5\n")
    assert main(["explain", "ppo", "--facts", str(path), "--lambda-policy", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert column(found, "advantage") == pytest.approx([0.5, 1.0])
