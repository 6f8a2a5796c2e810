"""The shipped model is what its recipe says, loads as any other model does, and is as good as its card claims."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.assets import model_path
from rlkit.errors import ConfigError
from rlkit.tasks import resolve_task
from rlkit.tasks.countdown_splits import split_of

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))  # as `python scripts/write_base_corpus.py` has it

from base_model.corpus import Corpus, Problems, vocabulary  # noqa: E402
from base_model.recipe import load_recipe  # noqa: E402

RECIPES = sorted(path for path in (ROOT / "recipes" / "base_model").glob("*.yaml") if not path.stem.endswith("_sft"))
MODEL = model_path("countdown-tiny")
PROMPT, ANSWER = "2 3 5 8 ->24", "3 + 5 [8] [8] * 2 [16] [16] + 8 [24]"


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture(scope="module")
def model():
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(MODEL, dtype="float32").eval()


def test_is_small_and_a_plain_llama(model):
    assert type(model).__name__ == "LlamaForCausalLM"
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 5.5e6
    assert {path.suffix for path in MODEL.iterdir()} == {".json", ".safetensors", ".md"}


def test_shape_and_words_are_those_of_the_recipe(model, tokenizer):
    recipe = load_recipe(ROOT / "recipes" / "base_model" / "countdown-tiny.yaml")
    words = vocabulary(recipe.problems)
    assert tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))) == words
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers) == (recipe.model.hidden_size, recipe.model.num_layers)
    assert config.vocab_size == len(words)


def test_text_survives_the_tokenizer(tokenizer):
    ids = tokenizer(f"{PROMPT} {ANSWER}")["input_ids"]
    assert len(ids) == 5 + 12
    assert tokenizer.decode(ids) == f"{PROMPT} {ANSWER}"
    padded = [*ids, tokenizer.eos_token_id, tokenizer.pad_token_id]
    assert tokenizer.decode(padded, skip_special_tokens=True) == f"{PROMPT} {ANSWER}"
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id}) == 4
    assert tokenizer("99 hello")["input_ids"] == [tokenizer.unk_token_id] * 2


def test_every_shipped_problem_has_only_known_words(tokenizer):
    rows = resolve_task("countdown").load("test")
    ids = tokenizer([row["prompt"] for row in rows])["input_ids"]
    assert not any(tokenizer.unk_token_id in prompt for prompt in ids)
    assert {len(prompt) for prompt in ids} == {5}


def test_stops_by_itself(model, tokenizer):
    """Its generation settings are enough for a plain `generate` to end with the end token."""
    torch.manual_seed(0)
    inputs = tokenizer([PROMPT] * 64, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=20)[:, 5:]
    ended = (ids == tokenizer.eos_token_id).any(dim=1)
    assert ended.float().mean() > 0.95


def test_is_about_as_good_as_its_card_says(model, tokenizer):
    """One sample of each of the 200 test problems: pass@1 within four standard errors of the card's."""
    torch.manual_seed(0)
    task = resolve_task("countdown")
    rows = task.load("test")
    inputs = tokenizer([row["prompt"] for row in rows] * 2, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=16, do_sample=True, temperature=1.0, top_k=0, top_p=1.0)[:, 5:]
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    share = np.mean([bool(task.grade(text, row).correct) for text, row in zip(texts, rows * 2, strict=True)])
    claimed = float(re.search(r"\| pass@1 \| ([0-9.]+) \|", (MODEL / "README.md").read_text())[1])
    assert abs(share - claimed) < 4 * math.sqrt(claimed * (1 - claimed) / len(texts))


def test_walks_are_true_and_from_training_numbers_only():
    problems = Problems()
    words = np.array(vocabulary(problems))
    task = resolve_task({"name": "countdown", "train_size": 1})
    for tokens in words[next(Corpus(problems, wrong_target_share=0.0, seed=0).batches(300))]:
        numbers, target = [int(word) for word in tokens[:4]], int(tokens[4].removeprefix("->"))
        assert split_of(numbers) == "train"
        assert task.grade(" ".join(tokens[5:17]), {"numbers": numbers, "target": target}).label == "correct"
        assert tokens[17:] == ["<eos>"]


def test_wrong_targets_come_as_often_as_asked():
    problems = Problems()
    batch = next(Corpus(problems, wrong_target_share=0.4, seed=0).batches(4000))
    words = np.array(vocabulary(problems))[batch]
    wrong = np.mean([row[4].removeprefix("->") != row[16].strip("[]") for row in words])
    assert wrong == pytest.approx(0.4 * 40 / 41, abs=0.03)  # one random target in 41 is right by chance


def test_same_seed_same_corpus():
    first, again, other = (next(Corpus(Problems(), 0.1, seed).batches(64)) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_read_strictly(path, tmp_path):
    load_recipe(path)
    for wrong in ("wrong_target_shar: 0.1", "num_rows: many", "num_rows: 1.5"):
        bad = tmp_path / "bad.yaml"
        bad.write_text(re.sub(r"corpus:\n", f"corpus:\n  {wrong}\n", path.read_text().replace("  num_rows", "  # ")))
        with pytest.raises(ConfigError):
            load_recipe(bad)
    with pytest.raises(ConfigError, match="does not exist"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipe_beside_learns_every_walk_once(path):
    from rlkit.recipe import load_recipe as load_run

    run = load_run(str(path.with_name(f"{path.stem}_sft.yaml")))
    assert (run.model, run.data) == (f"runs/base/{path.stem}/untrained", f"runs/base/{path.stem}/corpus.jsonl")
    assert run.train["num_train_epochs"] == 1
    num_steps = load_recipe(path).corpus.num_rows / run.train["per_device_train_batch_size"]
    assert run.train["warmup_steps"] == pytest.approx(0.05 * num_steps)


_TINY_RECIPE = """
model: {hidden_size: 32, intermediate_size: 64, num_layers: 1, num_heads: 1}
corpus: {num_rows: 24, seed: 1}
"""


def run_script(name, *words):
    command = [sys.executable, SCRIPTS / f"{name}.py", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.side_by_side
def test_corpus_and_untrained_model_are_written_twice_the_same_and_learnt(tmp_path):
    from rlkit.recipe import load_recipe as load_run
    from rlkit.trainers.sft.run import train_sft

    recipe = tmp_path / "tiny recipe.yaml"
    recipe.write_text(_TINY_RECIPE)
    for name in ("first", "again"):
        done = run_script("write_base_corpus", recipe, "--output", tmp_path / name)
        assert done.returncode == 0, done.stderr
    for file in ("corpus.jsonl", "untrained/model.safetensors"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "first" / "corpus.jsonl").read_text().splitlines()]
    assert len(rows) == 24
    assert {len(row["completion"].split()) for row in rows} == {12}
    settings = {
        "model": tmp_path / "first/untrained",
        "data": tmp_path / "first/corpus.jsonl",
        "output": tmp_path / "run",
    }
    settings |= {
        "train.per_device_train_batch_size": 8,
        "evaluate": "{task: countdown, n: 2, limit: 2, max_tokens: 16}",
    }
    path = ROOT / "recipes" / "base_model" / "countdown-tiny_sft.yaml"
    assert train_sft(load_run(str(path), [f"{key}={value}" for key, value in settings.items()])).step == 3
    done = run_script("write_base_card", recipe, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "| pass@1 |" in done.stdout
    card = " ".join((tmp_path / "run" / "model" / "README.md").read_text().split())
    assert "24 random walks, each once in 3 steps" in card


@pytest.mark.parametrize("script", ["write_base_corpus", "write_base_card"])
def test_scripts_refuse_in_one_sentence(tmp_path, script):
    words = ["--output", tmp_path / "model"] if script == "write_base_corpus" else [tmp_path]
    done = run_script(script, tmp_path / "none.yaml", *words)
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


# vLLM starts processes of its own, so it gets a program of its own that only prints JSON.
_VLLM_PROGRAM = """
import json, sys
from vllm import LLM, SamplingParams

if __name__ == "__main__":
    engine = LLM(sys.argv[1], dtype="float32", enforce_eager=True, max_num_seqs=16, seed=0)
    outputs = engine.generate(json.loads(sys.argv[2]), SamplingParams(n=4, max_tokens=16, logprobs=0, seed=0))
    found = []
    for output in outputs:
        for sample in output.outputs:
            logps = [list(position.values())[0].logprob for position in sample.logprobs]
            ids = list(sample.token_ids)
            found.append({"prompt": output.prompt_token_ids, "ids": ids, "logps": logps, "text": sample.text})
    print("FOUND" + json.dumps(found))
"""


@pytest.mark.needs_vllm
@pytest.mark.slow
def test_vllm_gives_the_same_log_probabilities(model, tokenizer, tmp_path):
    program = tmp_path / "sample.py"
    program.write_text(_VLLM_PROGRAM)
    prompts = [row["prompt"] for row in resolve_task("countdown").load("test")[:4]]
    done = subprocess.run(
        [sys.executable, program, MODEL, json.dumps(prompts)],
        env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "OMP_WAIT_POLICY": "PASSIVE"},
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert "FOUND" in done.stdout, done.stderr[-3000:]
    found = json.loads(done.stdout.rpartition("FOUND")[2])
    assert len(found) == 16
    for sample in found:
        ids = torch.tensor([[*sample["prompt"], *sample["ids"]]])
        with torch.inference_mode():
            logps = model(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])[:, 0]
        ours = logps[len(sample["prompt"]) - 1 :].numpy()
        np.testing.assert_allclose(ours, sample["logps"], atol=1e-3)
        assert tokenizer.decode(sample["ids"], skip_special_tokens=True) == sample["text"].strip()
