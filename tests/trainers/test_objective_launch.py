"""An objective with every part under two processes, ZeRO-3, LoRA and vLLM; continued from a checkpoint."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.trainers.test_launch import assert_same_step, check_run, compose, read_log, start, train

EVERY_PART = (
    "{token_weights: [steer], "
    "anchor: {name: k2, coef: {name: target_kl, target: 0.01, start: 0.1, horizon: 5}, "
    "reference: {name: ema, decay: 0.5}}, "
    "rehearsal: {coef: 0.1, mastered_above: 0.4, num_prompts: 8, rows_per_step: 4}}"
)
EVERY_FACT = (
    "[{name: add_elliptical_bonus, coef: 0.1}, grpo, reweight_by_confidence, {name: add_outcome_bonus, kind: ucb_con}]"
)
SETTINGS = {
    "objective": EVERY_PART,
    "advantage": EVERY_FACT,
    "embedding": "hashed_ngrams",
    "train__save_strategy": "steps",
    "train__save_steps": 1,
}
COMPARED = ("loss", "grad_norm", "kl", "rehearsal/divergence", "anchor/coef", "token_weight/mean", "advantages/mean")


@pytest.fixture(scope="module")
def plain_log(tmp_path_factory):
    """What plain data parallelism logs, for the others to agree with."""
    return train(tmp_path_factory.mktemp("objective") / "run", "cpu", **SETTINGS)


@pytest.mark.slow
@pytest.mark.needs_compiler
def test_zero_3_agrees_with_plain_data_parallelism_and_continues_to_the_same_end(tmp_path, plain_log):
    output, config = tmp_path / "run", "cpu_zero3"
    log = train(output, config, **SETTINGS)
    assert_same_step(log[0], plain_log[0], COMPARED)
    assert log[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert log[1]["kl"] == pytest.approx(plain_log[1]["kl"], rel=0.05)
    assert log[1]["rehearsal/divergence"] > 0

    memory = (output / "checkpoint-2" / "rlkit_memory.json").read_text()
    assert (output / "checkpoint-2" / "reference.safetensors").is_file()
    for later in ("checkpoint-2", "model"):
        shutil.rmtree(output / later)
    state = json.loads((output / "run.json").read_text())
    (output / "run.json").write_text(json.dumps(state | {"status": "running", "step": 1}))
    process = start(compose(output, config, **SETTINGS))
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said[-4000:]
    check_run(output, world_size=2)
    assert_same_step(read_log(output)[1], log[1], COMPARED)
    continued = json.loads((output / "checkpoint-2" / "rlkit_memory.json").read_text())
    assert continued["answer_counts"] == json.loads(memory)["answer_counts"]
    assert continued["anchor_coef"] == pytest.approx(json.loads(memory)["anchor_coef"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.needs_compiler
def test_the_adapter_is_switched_off_for_the_reference_under_zero_3(tmp_path):
    anchor = "{anchor: {name: forward, coef: 0.1, reference: adapter_off}}"
    changes = {"objective": anchor, "peft__r": 4, "peft__target_modules": "all-linear", "train__learning_rate": 0.01}
    log = train(tmp_path / "run", "cpu_zero3", **changes)
    assert log[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert log[1]["kl"] > 1e-5


@pytest.mark.slow
@pytest.mark.needs_vllm
def test_an_objective_with_vllm_sampling_inside(tmp_path):
    engine = {"train__per_device_train_batch_size": 32, "train__use_vllm": "true", "train__vllm_mode": "colocate"}
    log = train(tmp_path / "run", **SETTINGS, **engine)
    assert log[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert log[1]["kl"] > 0
