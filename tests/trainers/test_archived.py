"""Archived solutions beside the rollouts: their likelihood, their turns, what grows, and what a checkpoint holds."""

from __future__ import annotations

import json
import math

import pytest
import torch
from transformers import TrainerCallback

from rlkit.archive import Archive, ArchiveRow
from rlkit.cli import main
from rlkit.errors import ConfigError, StoreError
from rlkit.objective import ArchiveLikelihood, resolve_archive
from rlkit.trainers.archive_files import read_solutions
from rlkit.trainers.archived import FILE
from rlkit.trainers.statistics import Statistics
from tests.trainers.archives import SOLUTIONS, build, has_a_four, write_archive
from tests.trainers.test_grpo import build_trainer
from tests.trainers.test_sampler import flatten, fresh_model
from tests.trainers.tiny import build_tokenizer


@pytest.fixture(autouse=True)
def _stored(monkeypatch):
    """Give FROM solutions whose weights no rule would give; other archives are read."""
    stand_in = lambda settings: SOLUTIONS if settings.sources == ("stand-in",) else read_solutions(settings)  # noqa: E731
    monkeypatch.setattr("rlkit.trainers.archived.read_solutions", stand_in)


FROM = {"from": ["stand-in"]}


def explain_loss(model, tokenizer, solutions, row_weighting):
    """Return the weighted mean negative log-likelihood of solutions, one at a time."""
    total, weight = torch.zeros(()), 0.0
    for solution in solutions:
        prompt = tokenizer(solution.prompt)["input_ids"]
        answer = [*tokenizer(solution.completion)["input_ids"], tokenizer.eos_token_id]
        logps_TV = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        nll_T = -logps_TV[torch.arange(len(answer)), torch.tensor(answer)]
        total = total + solution.weight * (nll_T.mean() if row_weighting == "sequence_mean" else nll_T.sum())
        weight += solution.weight * (len(answer) if row_weighting == "trl" else 1)
    return total / weight


def gradient_of(loss, model):
    model.zero_grad()
    loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("row_weighting", ["sequence_mean", "token_sum", "trl"])
def test_the_loss_is_the_weighted_mean_of_a_slow_loop(tmp_path, row_weighting):
    trainer = build(tmp_path, {**FROM, "coef": 0.7, "row_weighting": row_weighting})
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    statistics = Statistics()
    loss = trainer.stored.loss(trainer.model, 0, statistics)
    model = fresh_model()
    expected = 0.7 * explain_loss(model, trainer.processing_class, SOLUTIONS, row_weighting)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(gradient_of(loss, trainer.model), gradient_of(expected, model), atol=1e-6, rtol=1e-4)
    logged = statistics.reduce(trainer.accelerator)["archive/nll"]
    means = [
        explain_loss(model, trainer.processing_class, [solution], "sequence_mean").item() for solution in SOLUTIONS
    ]
    assert logged == pytest.approx(sum(means) / 5, rel=1e-5)


@pytest.mark.parametrize("windows", [1, 3])
def test_the_fast_path_in_small_passes_and_turns_of_micro_batches_come_to_the_same(tmp_path, windows):
    trainer = build(tmp_path, FROM)
    trainer.current_gradient_accumulation_steps = windows
    trainer.model.train()
    whole = trainer.stored.loss(trainer.model, 0, Statistics()) if windows == 1 else None
    turns = sum(trainer.stored.loss(trainer.model, turn, Statistics()) for turn in range(windows))
    passes = trainer.stored.passes(trainer.model, 12, Statistics())
    assert len(passes) > 2
    model = fresh_model()
    expected = gradient_of(explain_loss(model, trainer.processing_class, SOLUTIONS, "sequence_mean"), model)
    for loss in (turns, sum(compute() for compute in passes), *([whole] if whole is not None else [])):
        torch.testing.assert_close(gradient_of(loss, trainer.model), expected, atol=1e-6, rtol=1e-4)


def train(trainer):
    torch.manual_seed(5)
    trainer.train()
    return flatten(trainer.model)


@pytest.mark.parametrize("fast_path", [True, False])
def test_with_coef_0_training_is_bit_for_bit_what_it_is_without(tmp_path, fast_path):
    without = train(build(tmp_path, None, fast_path=fast_path))
    assert torch.equal(train(build(tmp_path, {**FROM, "coef": 0.0}, fast_path=fast_path)), without)
    assert torch.equal(train(build(tmp_path, {"coef": 0.0, "grow": True}, fast_path=fast_path)), without)
    assert not torch.equal(train(build(tmp_path, FROM, fast_path=fast_path)), without)


def test_the_fast_path_and_trls_end_at_the_same_weights_with_everything_beside(tmp_path):
    beside = {
        "objective": {"anchor": {"name": "k2", "coef": 0.2}, "rehearsal": {"coef": 0.5, "mastered_above": 0.1}},
        "archive": {**FROM, "grow": True, "rows_per_step": 3, "uses_per_solution": 2},
        "advantage": "w_reinforce",
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "max_steps": 3,
    }
    fast, slow = (train(build(tmp_path, fast_path=fast_path, **beside)) for fast_path in (True, False))
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=0)


def test_solutions_retire_and_one_sentence_says_that_nothing_is_left(tmp_path, capfd):
    trainer = build(tmp_path, {**FROM, "uses_per_solution": 2, "rows_per_step": 4}, max_steps=5)
    train(trainer)
    said = " ".join(capfd.readouterr().err.split())
    assert said.count("All 5 archived solutions have been used 2 times and are retired") == 1
    log = trainer.state.log_history[:5]
    assert ["archive/nll" in entry for entry in log] == [True, True, True, False, False]
    assert [entry["archive/rows_left"] for entry in log] == [5.0, 5.0, 2.0, 0.0, 0.0]


@pytest.mark.parametrize("fast_path", [True, False])
def test_without_an_on_policy_term_only_the_archive_is_learnt_from(tmp_path, fast_path, capfd):
    gradients = []

    class Gradients(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **_):
            gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).clone())

    archive = {**FROM, "uses_per_solution": 1, "on_policy": False}
    trainer = build(tmp_path, archive, fast_path=fast_path, max_steps=3, max_grad_norm=0.0)
    trainer.add_callback(Gradients())
    train(trainer)
    model = fresh_model()
    expected = gradient_of(explain_loss(model, trainer.processing_class, SOLUTIONS, "sequence_mean"), model)
    torch.testing.assert_close(gradients[0], expected, atol=1e-6, rtol=1e-4)
    # Spent after one step: nothing is left to learn from, and the run goes on to its end.
    assert [gradient.abs().max().item() for gradient in gradients[1:]] == [0.0, 0.0]
    assert "was learnt from: the completions" not in capfd.readouterr().err


def test_prompts_go_through_the_chat_template_and_completions_end(tmp_path, monkeypatch):
    chat = [{"role": "user", "content": "1 5"}]
    solutions = [ArchiveRow("p", chat, "4 + 4", "a"), SOLUTIONS[0]]
    monkeypatch.setattr("rlkit.trainers.archived.read_solutions", lambda settings: solutions)
    tokenizer = build_tokenizer()
    turns = "{% for m in messages %}( {{ m['content'] }} ) {% endfor %}"
    tokenizer.chat_template = turns + "{% if add_generation_prompt %}9{% endif %}"
    monkeypatch.setattr("tests.trainers.test_grpo.build_tokenizer", lambda: tokenizer)
    trainer = build(tmp_path, FROM)
    rows = sorted(trainer.archive.choose(), key=lambda row: len(row.prompt_ids))
    assert tokenizer.decode(rows[0].prompt_ids) == "0 0 0 3"
    assert tokenizer.decode(rows[1].prompt_ids) == "( 1 5 ) 9"
    assert all(tokenizer.decode(row.completion_ids) == "4 + 4 <eos>" for row in rows)


def test_what_no_rollout_could_be_is_left_out_and_said(tmp_path, capfd):
    trainer = build(tmp_path, FROM, max_completion_length=4)
    said = " ".join(capfd.readouterr().err.split())
    assert "3 of 5 archived solutions are left out" not in said
    assert "2 of 5 archived solutions are left out" in said
    assert len(trainer.archive.choose()) == 3


def grow(tmp_path, **changes):
    archive = {"grow": True, "rows_per_step": 6, "capacity": 3, "uses_per_solution": 2}
    saved = {"save_strategy": "steps", "save_steps": 2, "max_steps": 5, "save_total_limit": 9}
    saved |= {"per_device_train_batch_size": 16, "max_completion_length": 12}
    return build(tmp_path, archive | changes.pop("archive", {}), **saved | changes)


def read_state(directory):
    return json.loads((directory / FILE).read_text())


@pytest.mark.parametrize("fast_path", [True, False])
def test_correct_rollouts_enter_once_each_up_to_the_capacity_and_are_learnt_from_in_the_next_batch(
    tmp_path, fast_path, capfd
):
    trainer = grow(tmp_path, fast_path=fast_path)
    train(trainer)
    assert "the policy learns from what it finds" in " ".join(capfd.readouterr().err.split())
    log = trainer.state.log_history[:5]
    assert "archive/nll" not in log[0]
    assert "archive/nll" in log[1]
    grown = read_state(tmp_path / "checkpoint-4")["grown"]
    keys = [(entry["problem"], entry["key"]) for entry in grown]
    assert 4 < len(keys) == len(set(keys))
    problems = [problem for problem, _ in keys]
    assert max(problems.count(problem) for problem in problems) <= 3
    tokenizer = trainer.processing_class
    for entry in grown:
        assert has_a_four([entry["completion"]]) == [1.0]
        ids = entry["row"]["completion_ids"]
        assert ids[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == entry["completion"]
        assert tokenizer.decode(entry["row"]["prompt_ids"]) == entry["prompt"]


def test_what_training_finds_lies_in_an_archive_that_is_read_like_any_other(tmp_path):
    train(grow(tmp_path))
    state = read_state(tmp_path / "checkpoint-5")
    before = (tmp_path / "archive.jsonl").read_bytes()
    problems = Archive.open(tmp_path / "archive.jsonl").problems
    assert sum(problem.drawn for problem in problems.values()) == 5 * 16
    found = {(problem.id, one.key): one.completion for problem in problems.values() for one in problem.solutions}
    assert {(entry["problem"], entry["key"]) for entry in state["grown"]} <= found.keys()
    assert has_a_four(list(found.values())) == [1.0] * len(found)
    again = build(tmp_path, {"from": str(tmp_path / "archive.jsonl")})
    assert {row.completion_ids[-1] for row in again.archive.choose()} == {1}
    # Drawn again after a kill, a batch is nothing new.
    grow(tmp_path).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert (tmp_path / "archive.jsonl").read_bytes() == before


def test_archives_are_read_and_what_two_of_them_hold_is_taken_once(tmp_path):
    one = write_archive(tmp_path / "one.jsonl")
    two = write_archive(tmp_path / "two.jsonl", problems=[SOLUTIONS[0], ArchiveRow("p9", "9 3", "4", "z")])
    trainer = build(tmp_path, {"from": [one, two], "weights": "per_problem"})
    rows = trainer.archive.choose()
    assert len(rows) == 6
    # Two problems of the first have two solutions each, its third has one.
    assert sorted(row.weight for row in rows)[:4] == pytest.approx([5 / 6] * 4)
    assert len(build(tmp_path, {"from": one, "per_problem": 1}).archive.choose()) == 3
    with pytest.raises(ConfigError, match="no weights 'eqal'"):
        build(tmp_path, {"from": one, "weights": "eqal"})
    with pytest.raises(StoreError, match=r"missing.jsonl cannot be read"):
        build(tmp_path, {"from": str(tmp_path / "missing.jsonl")})


@pytest.mark.parametrize(
    ("problem", "prompt"), [("countdown/5,5,8,10/19", "another"), ("another", "5 5 8  10 ->19")], ids=["id", "prompt"]
)
def test_validate_refuses_held_out_problems(tmp_path, capfd, problem, prompt):
    path = write_archive(tmp_path / "a.jsonl", problems=[ArchiveRow(problem, prompt, "4", "z"), SOLUTIONS[0]])
    words = ["recipes", "validate", "countdown/grpo", "--set", f"archive.from={path}"]
    assert main(words) == 2
    assert "hold 1 problems that task 'countdown' holds out" in " ".join(capfd.readouterr().err.split())
    path = write_archive(tmp_path / "b.jsonl")
    assert main([*words[:-1], f"archive.from={path}"]) == 0
    assert main([*words[:-1], f"archive.from={tmp_path / 'none.jsonl'}"]) == 2
    assert "name an archive of solutions" in " ".join(capfd.readouterr().err.split())


def test_from_a_frozen_sampler_an_archive_grows_without_the_warning(tmp_path, capfd):
    train(grow(tmp_path, sampler="frozen"))
    assert "the policy learns from what it finds" not in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("archive", [{}, FROM], ids=["grown alone", "beside an archive"])
def test_a_run_that_stopped_goes_on_to_the_very_same_end(tmp_path, archive):
    whole = train(grow(tmp_path, archive=archive))
    state = read_state(tmp_path / "checkpoint-5")
    trainer = grow(tmp_path, archive=archive)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    torch.testing.assert_close(flatten(trainer.model), whole, atol=1e-7, rtol=0)
    assert read_state(tmp_path / "checkpoint-5") == state


def test_another_archive_than_the_run_began_with_is_refused(tmp_path, monkeypatch):
    train(grow(tmp_path, archive=FROM))
    monkeypatch.setattr("rlkit.trainers.archived.read_solutions", lambda settings: SOLUTIONS[:4])
    trainer = grow(tmp_path, archive=FROM)
    with pytest.raises(StoreError, match="hold 4 solutions, and held 5"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    with pytest.raises(StoreError, match="start anew"):
        trainer.archive.load(tmp_path)


def test_fresh_solutions_are_measured_beside_the_archived(tmp_path):
    trainer = build(tmp_path, FROM, lambda completions, **_: [1.0] * len(completions), max_steps=3)
    train(trainer)
    for entry in trainer.state.log_history[:3]:
        assert math.isfinite(entry["archive/nll_fresh"])
        assert entry["archive/rows_left"] >= 0


def test_keys():
    assert resolve_archive(None) is None
    assert resolve_archive("a").sources == resolve_archive(["a"]).sources == ("a",)
    assert resolve_archive({"from": "a", "coef": 0.5}) == ArchiveLikelihood(coef=0.5, sources=("a",))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "write from: .PATH., or grow: true"),
        ({"from": ["a"], "coef": -1}, "at least 0"),
        ({"from": ["a"], "coeff": 1}, "Did you mean 'coef'"),
        ({"from": [""]}, "a text that is not empty"),
        ({"from": ["a"], "rows_per_step": 0}, "of at least 1"),
        ({"from": ["a"], "uses_per_solution": 0}, "of at least 1"),
        ({"from": ["a"], "row_weighting": "mean"}, "sequence_mean"),
        ({"grow": True, "weights": "per_problem"}, "write weights: equal"),
        (3, "write a mapping"),
    ],
    ids=str,
)
def test_other_archives_are_refused(spec, words):
    with pytest.raises(ConfigError, match=words):
        resolve_archive(spec)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"partition": None}, "write partition: final_answer"),
        ({"partition": "ngram_overlap"}, "judges pairs"),
        ({"loss_type": "vespo"}, "cannot be combined"),
    ],
    ids=str,
)
def test_what_does_not_go_with_an_archive_that_grows_is_refused(tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words):
        build_trainer(tmp_path, has_a_four, archive={"grow": True}, **{"partition": "normalised_text"} | changes)
