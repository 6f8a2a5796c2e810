"""A sampler other than the policy with vLLM drawing inside; on two ranks it is in test_archive_launch.py."""

from __future__ import annotations

import pytest

from tests.trainers.test_launch import train


@pytest.mark.slow
@pytest.mark.needs_vllm
def test_vllm_draws_with_the_weights_of_the_sampler(tmp_path):
    engine = {"train__per_device_train_batch_size": 32, "train__use_vllm": "true", "train__vllm_mode": "colocate"}
    log = train(tmp_path / "run", sampler="frozen", train__learning_rate=0.01, **engine)
    # vLLM says of its tokens what the sampler says of them, although the policy has moved away from both.
    assert log[1]["sampling/sampling_logp_difference/mean"] < 0.01
    assert log[1]["sampler/kl"] > 0.05
