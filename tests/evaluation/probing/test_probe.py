"""A real tiny model end to end: what the engine recorded, brute force on full logits, and zero on itself."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlkit.errors import ConfigError, StoreError
from rlkit.evaluation import evaluate
from rlkit.evaluation.probing import probe
from rlkit.evaluation.samples.reading import read_samples
from tests.evaluation.conftest import FirstLetter, build_tiny_model
from tests.evaluation.probing.conftest import SAMPLING

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]


@pytest.fixture(scope="module")
def found(tuned_run: Path, base_run: Path) -> dict[str, Any]:
    return probe(tuned_run, base=str(base_run), samples_per_prompt=6, device="cpu")


def whole_texts(run: Path) -> list[dict[str, Any]]:
    """Return the samples that end of their own accord and encode to what was drawn, with their tokens."""
    tokenizer = AutoTokenizer.from_pretrained(run.parent / f"{run.name}_model")
    prompts = {
        problem["id"]: problem["prompt"] for problem in json.loads((run / "report.json").read_text())["problems"]
    }
    kept = []
    for record in read_samples(run):
        ids = tokenizer(record["completion"])["input_ids"] + [1] * (record["finish_reason"] == "stop")
        if len(ids) == record["num_tokens"]:
            kept.append({**record, "prompt_ids": tokenizer(prompts[record["prompt_id"]])["input_ids"], "ids": ids})
    return kept


def brute_force(run: Path, models: list[Path]) -> dict[str, dict[str, list[list[float]]]]:
    """Return by prompt the entropies and divergences of each sample's tokens, one unpadded forward pass a sample."""
    loaded = [AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval() for path in models]
    found: dict[str, dict[str, list[list[float]]]] = {}
    for sample in whole_texts(run):
        both = []
        for model in loaded:
            with torch.no_grad():
                logits = model(torch.tensor([sample["prompt_ids"] + sample["ids"]])).logits[0]
            both.append(torch.log_softmax(logits[len(sample["prompt_ids"]) - 1 : -1].double(), dim=-1))
        of = found.setdefault(sample["prompt_id"], {"entropies": [], "kl": []})
        of["entropies"].append((-(both[0].exp() * both[0]).sum(-1)).tolist())
        of["kl"].append((both[0].exp() * (both[0] - both[1])).sum(-1).tolist())
    return found


def mean_over_prompts(by_prompt: dict[str, dict[str, list[list[float]]]], name: str, per_token: bool = True) -> float:
    means = []
    for of in by_prompt.values():
        sums = [sum(values) for values in of[name]]
        means.append(sum(sums) / (sum(map(len, of[name])) if per_token else len(sums)))
    return sum(means) / len(means)


def test_it_equals_brute_force_on_full_logits(found: dict[str, Any], tuned_run: Path, base_run: Path) -> None:
    tuned, base = tuned_run.parent / "tuned_model", tuned_run.parent / "base_model"
    own, theirs = brute_force(tuned_run, [tuned, base]), brute_force(base_run, [base, tuned])
    assert found["token_entropy"]["value"] == pytest.approx(mean_over_prompts(own, "entropies"), abs=1e-4)
    for name, expected in (("kl_from_base", own), ("kl_to_base", theirs)):
        assert found[name]["per_token"]["value"] == pytest.approx(mean_over_prompts(expected, "kl"), abs=1e-4)
        per_sequence = mean_over_prompts(expected, "kl", per_token=False)
        assert found[name]["per_sequence"]["value"] == pytest.approx(per_sequence, rel=1e-3)
        assert found[name]["per_token"]["value"] > 0.01
        assert found[name]["k3"]["value"] > 0.0


def test_rescored_entropies_are_those_the_engine_recorded(tmp_path: Path) -> None:
    evaluate("countdown-tiny", "countdown", 3, tmp_path / "run", limit=4, sampling={"max_tokens": 32})
    probed = probe(tmp_path / "run", samples_per_prompt=3, device="cpu")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert probed["re_encoding"]["num_used"] == 12
    assert probed["token_entropy"]["value"] == pytest.approx(report["metrics"]["token_entropy"]["value"], abs=1e-4)
    assert probed["re_encoding"]["logp_difference"]["largest"] < 1e-3
    assert probed["kl_from_base"] is None
    assert set(probed["reasons"]) == {"kl_from_base", "kl_to_base", "update"}
    assert json.loads((tmp_path / "run" / "probe.json").read_text()) == probed


def test_a_model_is_at_no_distance_from_itself(tuned_run: Path) -> None:
    own = probe(tuned_run, base=str(tuned_run), samples_per_prompt=2, device="cpu")
    for name in ("kl_from_base", "kl_to_base"):
        assert own[name]["per_token"]["value"] == 0.0
        assert own[name]["k3"]["value"] == 0.0
    assert set(own["update"]["sparsity"].values()) == {1.0}
    assert own["update"]["ranks"][0]["stable_rank"] is None
    assert own["rank"]["model"] == own["rank"]["base"]


def test_small_batches_and_few_samples_change_nothing_but_the_counts(
    found: dict[str, Any], tuned_run: Path, base_run: Path
) -> None:
    again = probe(tuned_run, base=str(base_run), samples_per_prompt=6, batch_tokens=40, device="cpu")
    for name in ("token_entropy", "branching_factor"):
        assert again[name]["value"] == pytest.approx(found[name]["value"], abs=1e-5)
    assert again["kl_to_base"]["per_token"]["value"] == pytest.approx(
        found["kl_to_base"]["per_token"]["value"], abs=1e-5
    )
    few = probe(tuned_run, limit=3, samples_per_prompt=2, device="cpu")
    assert few["re_encoding"]["num_samples"] == 6
    assert few["token_entropy"]["num_total"] == 3


def test_samples_that_encode_otherwise_are_left_out_and_counted(found: dict[str, Any], tuned_run: Path) -> None:
    encoding = found["re_encoding"]
    assert encoding["num_used"] == len(whole_texts(tuned_run)) < encoding["num_samples"]
    assert encoding["num_other_length"] == encoding["num_samples"] - encoding["num_used"]
    assert encoding["share_left_out"] == pytest.approx(encoding["num_other_length"] / encoding["num_samples"])


def test_the_branching_factor_lies_in_its_range_with_a_curve(found: dict[str, Any]) -> None:
    branching = found["branching_factor"]
    assert 1.0 <= branching["low"] <= branching["value"] <= branching["high"] <= 10.0
    assert branching["sampling"] is None
    curve = branching["curve"]
    assert [point["position"] for point in curve] == list(range(1, len(curve) + 1))
    assert curve[0]["value"] == pytest.approx(curve[0]["local"])
    assert curve[0]["num_sequences"] == found["re_encoding"]["num_used"]
    counts = [point["num_sequences"] for point in curve]
    assert counts == sorted(counts, reverse=True)


def test_truncated_sampling_has_a_narrower_distribution_of_its_own(base_run: Path, tmp_path: Path) -> None:
    model = base_run.parent / "base_model"
    sampling = {**SAMPLING, "temperature": 0.7, "top_k": 4}
    evaluate(str(model), FirstLetter(), 4, tmp_path / "run", sampling=sampling)
    probed = probe(tmp_path / "run", device="cpu")
    assert probed["distributions"]["sampling"]["top_k"] == 4
    assert probed["branching_factor"]["sampling"]["value"] < probed["branching_factor"]["value"]
    assert probed["branching_factor"]["sampling"]["high"] <= 4.0
    assert probed["token_entropy"]["sampling"]["value"] < math.log(4)


def test_two_vocabularies_and_two_architectures_leave_parts_out_with_a_reason(tuned_run: Path, tmp_path: Path) -> None:
    probed = probe(tuned_run, base="countdown-tiny", samples_per_prompt=1, device="cpu")
    assert probed["kl_from_base"] is None
    assert "tokenizers" in probed["reasons"]["kl_from_base"]
    assert probed["update"] is None
    assert "different architectures" in probed["reasons"]["update"]
    assert probed["token_entropy"]["value"] is not None
    with pytest.raises(ConfigError, match="no model directory"):
        probe(tuned_run, base=str(tmp_path / "gone"), device="cpu")


def test_an_adapter_is_probed_on_its_base_as_if_it_were_merged(base_run: Path, tmp_path: Path) -> None:
    base = base_run.parent / "base_model"
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules=["v_proj"], task_type="CAUSAL_LM")
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(tmp_path / "adapter")
    model.merge_and_unload().save_pretrained(tmp_path / "merged")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "merged")
    evaluate(str(tmp_path / "merged"), FirstLetter(), 4, tmp_path / "run", sampling=SAMPLING)
    merged = probe(tmp_path / "run", base=str(base), device="cpu")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["config"] |= {"model": str(base), "adapter": str(tmp_path / "adapter")}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    found = probe(tmp_path / "run", base=str(base), device="cpu")
    assert found["adapter"] == str(tmp_path / "adapter")
    assert found["re_encoding"] | {"logp_difference": 0} == merged["re_encoding"] | {"logp_difference": 0}
    assert found["kl_from_base"]["per_token"]["value"] > 0.01
    expected = merged["kl_from_base"]["per_token"]["value"]
    assert found["kl_from_base"]["per_token"]["value"] == pytest.approx(expected, rel=1e-3)
    assert found["update"]["has_adapter"]["model"]
    assert max(rank["numerical_rank"] for rank in found["update"]["ranks"]) == 2


def test_what_cannot_be_probed_is_one_sentence(tuned_run: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no evaluation"):
        probe(tmp_path)
    with pytest.raises(ConfigError, match="limit was given as 0"):
        probe(tuned_run, limit=0)
    with pytest.raises(ConfigError, match="batch_tokens=0"):
        probe(tuned_run, batch_tokens=0)
    empty = shutil.copytree(tuned_run, tmp_path / "empty")
    (empty / "samples.jsonl").write_text("")
    with pytest.raises(StoreError, match="holds no samples"):
        probe(empty)


def test_samples_of_another_model_are_refused(base_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(base_run, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["config"]["model"] = str(build_tiny_model(tmp_path / "model", seed=9))
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(StoreError, match="not the one that drew them"):
        probe(other, device="cpu")
    assert not (other / "probe.json").exists()
    # The model has moved: with where it lies now, the samples are its own again.
    moved = probe(other, model=str(base_run.parent / "base_model"), device="cpu")
    assert moved["re_encoding"]["num_other_logp"] == 0


def test_samples_under_chat_settings_are_refused(base_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(base_run, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["config"]["chat"] = {"system": "Be brief."}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"chat settings \(system\)"):
        probe(other, device="cpu")


def test_a_base_that_cannot_read_the_prompts_leaves_only_its_own_parts_out(tmp_path: Path) -> None:
    short = build_tiny_model(tmp_path / "short", context=4)
    evaluate(str(build_tiny_model(tmp_path / "model")), FirstLetter(), 2, tmp_path / "run", sampling=SAMPLING)
    long = FirstLetter(6).load("test")[2]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    report["problems"][2]["prompt"] = long["prompt"] + " a a a"
    (tmp_path / "run" / "report.json").write_text(json.dumps(report))
    found = probe(tmp_path / "run", base=str(short), device="cpu")
    assert found["rank"]["base"] is None
    assert "tokens, but the context of" in found["reasons"]["kl_from_base"]
    assert "context is 4" in found["reasons"]["rank.base"]
    assert found["rank"]["model"]["rank_me"] > 1.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_gpu_in_bfloat16_agrees_with_cpu_to_its_rounding(
    found: dict[str, Any], tuned_run: Path, base_run: Path
) -> None:
    for dtype, tolerance in (("float32", 1e-3), ("bfloat16", 0.05)):
        there = probe(tuned_run, base=str(base_run), samples_per_prompt=6, device="cuda", dtype=dtype)
        assert there["settings"]["dtype"] == dtype
        assert there["token_entropy"]["value"] == pytest.approx(found["token_entropy"]["value"], abs=tolerance)
        here = found["kl_from_base"]["per_token"]["value"]
        assert there["kl_from_base"]["per_token"]["value"] == pytest.approx(here, rel=0.2)
        assert there["update"]["sparsity"] == found["update"]["sparsity"]
