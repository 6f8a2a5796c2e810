"""The exact divergence: golden numbers, agreement with the estimators in expectation, chunks, forbidden tokens."""

from __future__ import annotations

import math

import pytest
import torch

from rlkit.errors import ConfigError
from rlkit.estimators import kl
from rlkit.estimators.exact_divergence import exact_kl

PI, REF = torch.tensor([[0.6, 0.3, 0.1], [0.4, 0.4, 0.2]], dtype=torch.float64)


def test_golden_and_the_expectation_of_each_estimator() -> None:
    assert exact_kl(PI.log(), REF.log()).item() == pytest.approx(0.0876597251, abs=1e-7)
    for estimator, expected in (("k1", 0.0876597251), ("k2", 0.0857573831), ("k3", 0.0876597251)):
        values = kl(PI.log(), REF.log(), estimator)
        assert float((PI * values).sum()) == pytest.approx(expected, abs=1e-9)
    assert (kl(PI.log(), REF.log(), "k3") >= 0).all()


def test_directions_differ_and_adding_a_constant_does_not() -> None:
    reverse = float((REF * (REF / PI).log()).sum())
    assert exact_kl(REF.log(), PI.log()).item() == pytest.approx(reverse, abs=1e-7)
    assert reverse != pytest.approx(0.0876597251, abs=1e-3)
    assert exact_kl(PI.log() + 5, REF.log() - 3).item() == pytest.approx(0.0876597251, abs=1e-6)


def test_chunks_change_nothing_and_it_equals_torch() -> None:
    logits, ref = torch.randn(2, 3, 5, 17, generator=torch.Generator().manual_seed(0)).unbind(0)
    found = exact_kl(logits, ref, chunk_entries=20)
    torch.testing.assert_close(found, exact_kl(logits, ref), rtol=0, atol=0)
    logps, ref_logps = logits.log_softmax(-1), ref.log_softmax(-1)
    torch.testing.assert_close(
        found, torch.nn.functional.kl_div(ref_logps, logps, reduction="none", log_target=True).sum(-1)
    )
    assert exact_kl(torch.empty(0, 4), torch.empty(0, 4)).shape == (0,)


def test_a_model_is_at_no_distance_from_itself_and_never_at_a_negative_one() -> None:
    logits = 4 * torch.randn(500, 40, generator=torch.Generator().manual_seed(1))
    assert exact_kl(logits, logits).max().item() == 0.0
    assert exact_kl(logits, logits + 1e-4 * torch.randn_like(logits)).min().item() >= 0.0


def test_forbidden_tokens() -> None:
    only_first, even = torch.tensor([0.0, -torch.inf]), torch.zeros(2)
    assert exact_kl(only_first, even).item() == pytest.approx(math.log(2))
    assert exact_kl(even, only_first).item() == math.inf
    assert exact_kl(only_first, only_first).item() == 0.0


def test_two_vocabularies_are_refused_and_low_precision_is_upcast() -> None:
    with pytest.raises(ConfigError, match="one vocabulary"):
        exact_kl(torch.zeros(2, 3), torch.zeros(2, 4))
    assert exact_kl(torch.zeros(2).bfloat16(), torch.zeros(2).bfloat16()).dtype == torch.float32
