"""The learned judge of pairs, in this process and behind a server."""

from __future__ import annotations

import pickle
import time
from itertools import combinations

import numpy as np
import pytest
import torch

from rlkit.diversity import CrossEncoder, resolve_partition
from rlkit.errors import ConfigError, RewardError

TEXTS = ["a b c", "d e", "1 + 2 = 3 x y z", "q", "a b d", "m n o p q r s t u v w"]


def reference_share(path, first, second, index=-1):
    """One pair at a time, without padding, as the model's own library would."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    with torch.no_grad():
        logits = model(**tokenizer(first, second, return_tensors="pt")).logits[0]
    return float(logits.sigmoid()[0] if len(logits) == 1 else logits.softmax(0)[index])


@pytest.fixture(scope="module")
def path(tiny_classifier):
    return tiny_classifier()


@pytest.mark.parametrize(("labels", "index"), [(2, -1), (2, 0), (3, 1), (1, -1)])
def test_shares_are_the_models_own_whatever_the_batch(tiny_classifier, labels, index):
    path = tiny_classifier(num_labels=labels)
    pairs = list(combinations(TEXTS, 2))
    shares = CrossEncoder(model=path, equivalent_index=index, batch_size=4).score(pairs)
    expected = [reference_share(path, *pair, index) for pair in pairs]
    np.testing.assert_allclose(shares, expected, atol=1e-5)
    assert np.ptp(expected) > 0.1, "the random model must tell the pairs apart"


def test_each_pair_is_judged_once_in_order_or_as_the_mean_of_both(path):
    forth = np.array([reference_share(path, *pair) for pair in combinations(TEXTS, 2)])
    back = np.array([reference_share(path, *pair[::-1]) for pair in combinations(TEXTS, 2)])
    assert np.abs(forth - back).max() > 0.02, "the random model must not be symmetric"
    for order, shares in (("once", forth), ("both", (forth + back) / 2)):
        threshold = float(np.median(shares)) + 1e-4
        partition = CrossEncoder(model=path, order=order, threshold=threshold)
        judged = partition.equivalent(partition.features(TEXTS))
        assert judged[np.triu_indices(len(TEXTS), 1)].tolist() == (shares >= threshold).tolist()
        assert np.array_equal(judged, judged.T)
        assert judged.diagonal().all()


def test_classes_are_the_closure_and_stated_ones_are_not_asked_about(path):
    lenient, strict = (CrossEncoder(model=path, threshold=at) for at in (1e-9, 1.0))
    texts = ["a b", "", "c d", " ", "a b", "e f"]
    cut = [False, False, False, False, False, True]
    assert lenient.labels(lenient.features(texts, truncated=cut)).tolist() == [0, 1, 0, 1, 0, 2]
    assert strict.labels(strict.features(texts, truncated=cut)).tolist() == [0, 1, 2, 1, 0, 3]


def test_texts_are_cut_by_tokens_at_the_stated_end(path):
    features = [
        CrossEncoder(model=path, max_tokens=2, keep=keep).features(["a b c d", "e"]) for keep in ("first", "last")
    ]
    assert features == [["a b", "e"], ["c d", "e"]]


def test_pairs_longer_than_the_models_positions_are_cut_to_them(path):
    assert np.isfinite(CrossEncoder(model=path).score([("a b c " * 50, "d e f " * 50)])).all()


def test_a_template_makes_one_text_of_a_pair(path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    share = CrossEncoder(model=path, template="{second} = {first}").score([("a", "b {first}")])
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    with torch.no_grad():
        expected = model(**tokenizer("b {first} = a", return_tensors="pt")).logits[0].softmax(0)[-1]
    np.testing.assert_allclose(share, [float(expected)], atol=1e-5)


def test_the_short_answer_rule_is_off_unless_asked_for(path):
    texts = ["x = 3", "x = 4", "y"]
    without, with_rule = CrossEncoder(model=path, threshold=1.0), CrossEncoder(model=path, threshold=1.0, short_words=5)
    assert without.labels(without.features(texts)).tolist() == [0, 1, 2]
    assert with_rule.labels(with_rule.features(texts)).tolist() == [0, 0, 1]


def test_it_is_small_data_after_its_model_was_used(path):
    partition = CrossEncoder(model=path)
    partition.score([("a", "b")])
    assert len(pickle.dumps(partition)) < 1000
    assert pickle.loads(pickle.dumps(partition)) == partition


def test_models_that_are_no_classifiers_are_refused(tiny_classifier, path):
    with pytest.raises(ConfigError, match="not trained as a classifier"):
        CrossEncoder(model=tiny_classifier(head=False)).score([("a", "b")])
    with pytest.raises(ConfigError, match="not trained as a classifier"):
        CrossEncoder(model="countdown-tiny", template="{first} + {second}").score([("1", "2")])
    with pytest.raises(ConfigError, match="knows 2 classes"):
        CrossEncoder(model=path, equivalent_index=2).score([("a", "b")])


def test_a_decoder_without_padding_is_read_row_by_row(tmp_path):
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    from rlkit.models import locate_model

    AutoTokenizer.from_pretrained(locate_model("countdown-tiny")).save_pretrained(tmp_path)
    sizes = {"vocab_size": 162, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    with torch.random.fork_rng():
        config = LlamaConfig(**sizes, num_attention_heads=2, num_labels=2, pad_token_id=None)
        model = LlamaForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    judge = CrossEncoder(model=str(tmp_path), template="{first} + {second}")
    pairs = [("3", "5 [8] [8]"), ("3 * 5 [15]", "1"), ("2", "2")]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    with torch.no_grad():
        expected = [
            model(**tokenizer(f"{a} + {b}", return_tensors="pt", return_token_type_ids=False)).logits[0].softmax(0)[1]
            for a, b in pairs
        ]
    np.testing.assert_allclose(judge.score(pairs), np.array(expected), atol=1e-5)


def test_a_decoder_needs_a_template():
    with pytest.raises(ConfigError, match=r"template that the model was trained with, one with \{first\}"):
        CrossEncoder(model="countdown-tiny").score([("1", "2")])


def words_in_common(path, request):
    """Judge by the first word of each side, and answer in reverse order with an index, as a server may."""
    assert path == "/classify"
    rows = []
    for index, text in enumerate(request["input"]):
        first, second = text.removeprefix("[CLS] ").removesuffix(" [SEP]").split(" [SEP] ")
        share = 0.9 if first.split()[0] == second.split()[0] else 0.1
        rows.append({"index": index, "probs": [1 - share, share], "num_classes": 2})
    return 200, {"data": rows[::-1]}


def behind(server, **params):
    return CrossEncoder(model="served", url=server.url, **({"deadline_s": 5.0} | params))


def labels(partition, texts):
    return partition.labels(partition.features(texts)).tolist()


def test_a_served_classifier_judges_each_pair_once_in_batches(server):
    server.answer = words_in_common
    assert labels(behind(server, batch_size=4), ["a 1", "b 1", "a 2", "c", "b 2"]) == [0, 1, 0, 2, 1]
    asked = [text for _, request in server.requests for text in request["input"]]
    assert sorted(len(request["input"]) for _, request in server.requests) == [2, 4, 4]
    assert len(asked) == len(set(asked)) == 10
    assert "[CLS] a 1 [SEP] b 1 [SEP]" in asked
    assert {request["model"] for _, request in server.requests} == {"served"}


def test_texts_for_a_server_are_cut_by_words_or_by_the_tokens_of_a_tokenizer(server, path):
    assert behind(server, max_tokens=2).features(["aa  bb cc", "d"]) == ["aa bb", "d"]
    assert behind(server, max_tokens=3, tokenizer=path).features(["a+b + c", "d"]) == ["a + b", "d"]


def test_a_server_is_asked_again_while_it_may_recover(server):
    def answer(path, request):
        return words_in_common(path, request) if len(server.requests) > 2 else (503, {"error": "starting"})

    server.answer = answer
    assert labels(behind(server), ["a 1", "a 2"]) == [0, 0]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "reply",
    [
        b"<html>login</html>",
        {"data": []},
        {"data": [{"probs": []}]},
        {"data": [{"probs": [float("nan"), 0.5]}]},
        {"data": [{"probs": [3.0, -2.0]}]},
        {"data": [{"label": "same"}]},
        {"data": "none"},
        [],
    ],
)
def test_a_reply_that_is_no_judgement_ends_in_a_sentence(server, reply):
    server.answer = lambda path, request: (200, reply)
    with pytest.raises(RewardError, match=r"^The classifier at http://127.*no judgement"):
        labels(behind(server), ["a", "b"])
    assert len(server.requests) == 3


def test_a_server_that_fails_until_the_deadline_ends_in_a_sentence(server):
    server.answer = lambda path, request: (500, b"out of memory")
    start = time.monotonic()
    with pytest.raises(RewardError, match=r"no usable reply within 1 seconds: status 500: out of memory"):
        labels(behind(server, deadline_s=1), ["a", "b"])
    assert time.monotonic() - start < 3


def test_a_slow_server_and_one_that_is_not_there_end_in_a_sentence(server):
    server.answer, server.delay_s = words_in_common, 1.5
    with pytest.raises(RewardError, match=r"within 0\.5 seconds"):
        labels(behind(server, deadline_s=0.5), ["a", "b"])
    nobody = CrossEncoder(model="served", url="http://127.0.0.1:9", deadline_s=0.5)
    with pytest.raises(RewardError, match="Connect call failed"):
        labels(nobody, ["a", "b"])


def test_a_request_that_the_server_refuses_is_not_repeated(server):
    server.answer = lambda path, request: (404, {"message": "no model called served"})
    with pytest.raises(ConfigError, match=r"404.*no model called served"):
        labels(behind(server), ["a", "b"])
    assert len(server.requests) == 1


def test_the_key_travels_when_it_is_named(server, monkeypatch):
    server.answer = words_in_common
    monkeypatch.setenv("JUDGE_KEY", "secret")
    labels(behind(server, api_key_variable="JUDGE_KEY"), ["a", "b"])
    assert server.headers[-1]["authorization"] == "Bearer secret"
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(ConfigError, match=r"'JUDGE_KEY'.*is not set"):
        labels(behind(server, api_key_variable="JUDGE_KEY"), ["a", "b"])


@pytest.mark.parametrize(
    "params",
    [
        {"model": ""},
        {"model": "./nowhere/at/all"},
        {"url": "localhost:8000"},
        {"url": "file:///etc/passwd"},
        {"threshold": 0},
        {"threshold": float("nan")},
        {"threshold": True},
        {"equivalent_index": 0.5},
        {"equivalent_index": True},
        {"order": "twice"},
        {"keep": "middle"},
        {"max_tokens": 0},
        {"batch_size": 0},
        {"short_words": -1},
        {"concurrency": 0},
        {"deadline_s": 0},
        {"deadline_s": float("inf")},
        {"template": "{first} only"},
        {"template": "{first} {second} {third}"},
        {"template": "{first.nope} {second}"},
        {"closure": "best"},
        {"truncated": "drop"},
        {"cut_after_answer": 1},
    ],
)
def test_parameters_that_mean_nothing_are_refused(params):
    with pytest.raises(ConfigError):
        resolve_partition({"name": "cross_encoder", "model": "some/model"} | params)
