"""Transforms of a user's own that return, raise, say or write what they should not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rlkit.advantages import Chain, GroupContext, Transform, chain, resolve
from rlkit.errors import ConfigError, MissingInputError, PluginError

VALUES = np.array([[1.0, 0.0, math.nan], [0.5, 0.5, 2.0]])


def write(tmp_path, body):
    """Return the reference to `mine` in a file of its own."""
    path = tmp_path / "mine.py"
    path.write_text(f"import numpy as np\nimport torch\nfrom rlkit.advantages import Transform\n{body}\n")
    return f"{path}:mine"


@pytest.mark.parametrize(
    "returned",
    [
        "values_PG * 2",
        "(values_PG * 2).numpy()",
        "(values_PG * 2).tolist()",
        "(values_PG * 2).float()",
        "(values_PG * 2).requires_grad_()",
        "np.asarray(values_PG) * 2",
    ],
)
@pytest.mark.parametrize("torch_in", [True, False])
def test_any_kind_of_numbers_is_taken(tmp_path, returned, torch_in):
    own = write(tmp_path, f"def mine(values_PG, ctx):\n    return {returned}")
    values = torch.tensor(VALUES) if torch_in else VALUES
    result = chain(own, "subtract_group_mean")(values)
    assert isinstance(result, torch.Tensor) == torch_in
    np.testing.assert_allclose(np.asarray(result), chain("subtract_group_mean")(VALUES * 2))
    assert not (torch_in and result.requires_grad)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("None", "'mine' returned None; return one number a completion"),
        ("'x'", "'mine' returned 'x'; return one number a completion"),
        ("[[1.0, 2.0, 3.0], [4.0]]", "return one number a completion"),
        ("values_PG[:, 0]", r"values of shape \(2,\); return one number a completion, shape \(2, 3\)"),
        ("values_PG.T", r"values of shape \(3, 2\)"),
        ("values_PG[0]", r"values of shape \(3,\)"),
        ("values_PG.mean()", r"values of shape \(\)"),
        ("values_PG.to(torch.complex64)", "complex"),
        ("1 / 0", r"'mine' failed in line 5 of .*mine\.py: ZeroDivisionError: division by zero\."),
        ("torch.zeros(2) @ torch.zeros(3)", r"failed in line 5 of .*mine\.py: RuntimeError: "),
        ("ctx.labels_PG.sum()", r"failed in line 5 of .*AttributeError: 'NoneType'"),
        ("{}[values_PG]", "KeyError"),
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_what_is_not_one_number_a_completion_is_refused_in_one_sentence(tmp_path, returned, words, last):
    own = write(tmp_path, f"def mine(values_PG, ctx):\n    return {returned}")
    algorithm = chain(own) if last else chain(own, "subtract_group_mean")
    with pytest.raises(PluginError, match=words) as error:
        algorithm(VALUES)
    assert "\n" not in str(error.value)


def test_infinite_values_are_refused_even_at_the_end(tmp_path):
    own = write(tmp_path, "def mine(values_PG, ctx):\n    return values_PG / 0")
    with pytest.raises(ConfigError, match="'mine' returned an infinite value; return NaN"):
        chain("subtract_group_mean", own)(VALUES)


def test_errors_meant_for_the_user_pass(tmp_path):
    own = write(tmp_path, "def mine(values_PG, ctx):\n    return ctx.require('labels_PG', 'mine')")
    with pytest.raises(MissingInputError, match=r"mine needs labels_PG.*`partition`"):
        chain(own)(VALUES)


def test_what_it_writes_to_touches_nobody_else(tmp_path):
    body = "def mine(values_PG, ctx):\n    values_PG[:] = 7.0\n    ctx.labels_PG[:] = 0\n    return values_PG"
    labels_PG, values = np.array([[0, 1, 2], [0, 1, 2]]), np.ones((2, 3))
    algorithm = chain("subtract_group_mean", write(tmp_path, body), "darling")
    before, own, *_ = algorithm.trace(torch.tensor(values), GroupContext(labels_PG=labels_PG))
    assert before.tolist() == [[0.0] * 3] * 2
    assert own.tolist() == [[7.0] * 3] * 2
    assert labels_PG.tolist() == [[0, 1, 2]] * 2
    assert values.tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("mine = 3", "3, which cannot be called"),
        ("def mine(values_PG):\n    return values_PG", r"'mine' cannot be called as f\(values_PG, ctx\): too many"),
        ("def mine(a, b, c):\n    return a", "missing a required argument: 'c'"),
        ("def mine(*, values_PG, ctx):\n    return values_PG", "cannot be called as"),
        ("class mine(Transform):\n    needs = 'labels_PG'", "needs='labels_PG'; write a set of fields"),
        ("class mine(Transform):\n    needs = {'label_PG'}", "Did you mean 'labels_PG'"),
        ("class mine(Transform):\n    needs = [3]", "needs 3, which no group has"),
        ("class mine(Transform):\n    min_group_size = 'x'", "min_group_size='x'; write a whole number"),
    ],
)
def test_what_cannot_stand_in_a_chain_is_refused_before_training(tmp_path, body, words):
    with pytest.raises(ConfigError, match=words):
        resolve(write(tmp_path, body))


def test_needs_of_ones_own_are_the_chains(tmp_path):
    body = """
class mine(Transform):
    needs = frozenset({"labels_PG"})
    min_group_size = 3

    def apply(self, values_PG, ctx):
        return values_PG + ctx.require("labels_PG", self.name)
"""
    algorithm = chain(write(tmp_path, body), "grpo")
    assert algorithm.needs == {"labels_PG"}
    assert algorithm.min_group_size == 3
    labels_PG = np.array([[0, 1, 0], [2, 1, 0]])
    np.testing.assert_allclose(
        Chain(algorithm.transforms[:1])(VALUES, GroupContext(labels_PG=labels_PG)), VALUES + labels_PG
    )


def test_a_transform_without_an_apply_says_so(tmp_path):
    with pytest.raises(PluginError, match=r"'mine' failed.*NotImplementedError"):
        resolve(write(tmp_path, "class mine(Transform):\n    pass"))(VALUES)
    assert isinstance(resolve("grpo"), Transform)


@pytest.mark.parametrize("field", ["logps_PGT", "mean_logps_PG", "prompt_logps_PS"])
def test_a_forgotten_need_is_told_as_such_where_a_trainer_would_have_met_it(tmp_path, field):
    own = write(tmp_path, f"def mine(values_PG, ctx):\n    return ctx.require('{field}', 'mine')")
    offline, training = GroupContext(), GroupContext(step=3)
    with pytest.raises(MissingInputError, match="comes from a trainer; it is not known offline"):
        chain(own)(VALUES, offline)
    with pytest.raises(MissingInputError, match=rf"did not gather.*mine\.needs = \{{'{field}'\}}"):
        chain(own)(VALUES, training)


def test_a_function_that_says_its_needs_has_them(tmp_path):
    own = write(tmp_path, "def mine(values_PG, ctx):\n    return values_PG\nmine.needs = {'logps_PGT'}")
    assert chain(own).needs == {"logps_PGT"}
