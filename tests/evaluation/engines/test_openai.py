"""The engine for servers against a real one on this machine: its samples, and every way in which a server can fail."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlkit.cli import main
from rlkit.errors import ConfigError, EngineError
from rlkit.evaluation import Sample, SamplingConfig, evaluate
from rlkit.evaluation.engines.chat_format import ChatFormat
from rlkit.evaluation.engines.contract import resolve_engine
from rlkit.evaluation.engines.openai import OpenaiEngine
from rlkit.types import Row
from tests.evaluation.conftest import FirstLetter
from tests.evaluation.protocol_server import ProtocolServer, length_of, text_of

pytestmark = [pytest.mark.slow, pytest.mark.side_by_side]

ROWS: list[Row] = [{"id": f"p{i}", "prompt": "a"} for i in range(5)]
CHATS: list[Row] = [{"id": f"p{i}", "prompt": [{"role": "user", "content": "a"}]} for i in range(5)]
SAMPLING = SamplingConfig(seed=3)


@contextlib.contextmanager
def serve(**settings: Any) -> Iterator[ProtocolServer]:
    with ProtocolServer(**settings).running() as server:
        yield server


def draw(
    *servers: ProtocolServer,
    rows: list[Row] = ROWS,
    n: int = 6,
    sampling: SamplingConfig = SAMPLING,
    done: frozenset = frozenset(),
    chat: ChatFormat | None = None,
    adapter: str | None = None,
    **settings: Any,
) -> dict[tuple[str, int], Sample]:
    settings = {"base_url": [server.url for server in servers], "patience_s": 5.0} | settings
    more = ({"chat": chat} if chat else {}) | ({"adapter": adapter} if adapter else {})
    batches = list(OpenaiEngine(**settings).sample("m", rows, n, sampling, done, **more))
    samples = [sample for batch in batches for sample in batch]
    assert len({sample.key for sample in samples}) == len(samples)
    return {sample.key: sample for sample in samples}


def assert_complete(samples: dict[tuple[str, int], Sample], n: int = 6, sampling: SamplingConfig = SAMPLING) -> None:
    """Every sample is there and is what its seed makes it, however requests were cut and retried."""
    assert samples.keys() == {(row["id"], number) for row in ROWS for number in range(n)}
    for (prompt_id, number), sample in samples.items():
        seed = sampling.seed_for(prompt_id) + number
        assert (sample.completion, sample.num_tokens) == (text_of(seed), length_of(seed))


def dead_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


@pytest.mark.parametrize("rows", [ROWS, CHATS], ids=["plain", "chat"])
@pytest.mark.parametrize("size", [1, 4, 16])
def test_every_sample_is_drawn_whatever_the_size_of_requests(rows: list[Row], size: int) -> None:
    with serve() as server:
        samples = draw(server, rows=rows, samples_per_request=size)
    assert_complete(samples)
    assert len(server.bodies) == 5 * -(-6 // size)
    for sample in samples.values():
        assert sample.logp_sum == pytest.approx(-0.5 * sample.num_tokens)
        assert (sample.finish_reason, sample.entropy_mean) == ("stop", None)


def test_what_is_sent_says_everything() -> None:
    sampling = SamplingConfig(temperature=0.5, top_p=0.9, top_k=7, min_p=0.1, max_tokens=9, stop=("x",), seed=1)
    chat = ChatFormat(template="t", template_args={"enable_thinking": False})
    with serve() as server:
        draw(server, rows=CHATS[:1], sampling=sampling, chat=chat)
    (body,) = server.bodies
    seed = body.pop("seed")
    assert seed == sampling.seed_for("p0")
    assert body == {
        "model": "m", "messages": CHATS[0]["prompt"], "n": 6, "temperature": 0.5, "top_p": 0.9, "top_k": 7,
        "min_p": 0.1, "max_tokens": 9, "stop": ["x"], "logprobs": True, "repetition_penalty": 1.0,
        "return_token_ids": True, "chat_template": "t", "chat_template_kwargs": {"enable_thinking": False},
    }  # fmt: skip


def test_other_servers_get_only_what_all_understand() -> None:
    with serve() as server:
        assert_complete(draw(server, dialect="openai"))
        for sampling in (SamplingConfig(top_k=5), SamplingConfig(min_p=0.1)):
            with pytest.raises(ConfigError, match="The dialect openai has no"):
                draw(server, dialect="openai", sampling=sampling)
    assert server.bodies[0].keys() == {"model", "prompt", "n", "temperature", "top_p", "max_tokens", "seed", "logprobs"}


def test_log_probs_that_are_not_the_model_s_own_are_not_taken() -> None:
    warm = SamplingConfig(temperature=0.7, seed=3)
    with serve() as server:
        assert {sample.logp_sum for sample in draw(server, dialect="openai", sampling=warm).values()} == {None}
        assert None not in {sample.logp_sum for sample in draw(server, sampling=warm).values()}
        assert {sample.logp_sum for sample in draw(server, logprobs=False).values()} == {None}
    assert "logprobs" not in server.bodies[-1]


@pytest.mark.parametrize("logprob", [None, -9999.0, 0.3])
def test_log_probs_with_a_gap_add_up_to_nothing(logprob: float | None) -> None:
    logprobs = {"token_logprobs": [-0.5, logprob], "tokens": ["a", "b"]}
    with serve(choice={"logprobs": logprobs}, gives_ids=False) as server:
        assert {sample.logp_sum for sample in draw(server).values()} == {None}


def test_lengths_that_only_usage_tells_are_asked_for_one_by_one() -> None:
    with serve(gives_logprobs=False, gives_ids=False) as server:
        samples = draw(server)
    assert_complete(samples)
    assert {sample.logp_sum for sample in samples.values()} == {None}
    with serve(gives_logprobs=False, gives_ids=False, gives_usage=False) as server, pytest.raises(EngineError) as said:
        draw(server, patience_s=0.5)
    assert "neither usage nor logprobs" in str(said.value)


@pytest.mark.parametrize("limits", [{"max_n": 4}, {"max_n": 1}, {"ignores_n": True}])
def test_servers_that_limit_n_get_smaller_requests(limits: dict[str, Any]) -> None:
    with serve(**limits) as server:
        assert_complete(draw(server))


def test_where_max_tokens_is_more_than_the_context_the_context_cuts() -> None:
    with serve(context=128) as server:
        assert_complete(draw(server))
        assert [body["max_tokens"] for body in server.bodies].count(None) == 5
        with pytest.raises(EngineError, match=r"refuses .* max_tokens=512"):
            draw(server, dialect="openai")


@pytest.mark.parametrize(
    ("given", "kept"),
    [("stop", "stop"), ("tool_calls", "stop"), ("length", "length"), ("content_filter", "content_filter")],
)
def test_finish_reasons(given: str, kept: str) -> None:
    with serve(choice={"finish_reason": given}) as server:
        assert {sample.finish_reason for sample in draw(server).values()} == {kept}


def test_reasoning_that_a_server_cuts_out_is_put_back() -> None:
    message = {"role": "assistant", "content": "42", "reasoning": "6 * 7"}
    with serve(choice={"message": message}) as server:
        assert {sample.completion for sample in draw(server, rows=CHATS).values()} == {"<think>6 * 7</think>42"}
    with serve(choice={"message": {**message, "content": None}}) as server:
        assert {sample.completion for sample in draw(server, rows=CHATS).values()} == {"<think>6 * 7"}
    with serve(choice={"message": {"role": "assistant", "content": None}}) as server:
        assert {sample.completion for sample in draw(server, rows=CHATS).values()} == {""}


def test_requests_that_are_done_are_not_sent_and_missing_ones_are_as_they_were() -> None:
    with serve() as server:
        whole = draw(server, samples_per_request=2)
        sent = len(server.bodies)
        again = draw(server, samples_per_request=2, done=frozenset(whole.keys() - {("p2", 3)}))
        assert len(server.bodies) == sent + 1
    assert again == {key: whole[key] for key in [("p2", 2), ("p2", 3)]}


@pytest.mark.parametrize("fault", [500, 502, 503, 429, 408, "garbage", "hang up"])
def test_what_passes_is_tried_again(fault: Any) -> None:
    with serve(fault=lambda number, body: fault if number % 2 == 0 else None) as server:
        assert_complete(draw(server, samples_per_request=3, concurrency=4))


def test_a_slow_reply_is_given_up_and_asked_for_again() -> None:
    with serve(fault=lambda number, body: 1.5 if number == 0 else None) as server:
        start = time.monotonic()
        assert_complete(draw(server, deadline_s=0.6))
    assert time.monotonic() - start < 10
    assert len(server.bodies) == 6


def test_work_is_shared_out_and_concurrency_kept() -> None:
    with (
        serve(fault=lambda number, body: 0.05) as one,
        serve(fault=lambda number, body: 0.05) as two,
        serve(fault=lambda number, body: 0.4) as slow,
    ):
        assert_complete(draw(one, two, slow, n=12, samples_per_request=1, concurrency=3), n=12)
    assert max(one.most_at_once, two.most_at_once, slow.most_at_once) == 3
    assert len(one.bodies) + len(two.bodies) + len(slow.bodies) == 60
    assert min(len(one.bodies), len(two.bodies)) > 2 * len(slow.bodies)


def test_a_dead_server_is_left_out_while_another_lives(capfd: pytest.CaptureFixture[str]) -> None:
    with serve() as server:
        urls = [dead_url(), server.url]
        OpenaiEngine(base_url=urls).check()
        assert_complete(draw(base_url=urls))
    assert f"{urls[0]} (" in capfd.readouterr().err


def test_a_server_that_dies_midway_costs_nothing() -> None:
    with serve(fault=lambda number, body: 0.05) as lives, serve(fault=lambda number, body: 0.05) as dies:
        # Closed as a dying process closes it: connections under way break.
        threading.Timer(0.3, lambda: setattr(dies, "fault", lambda number, body: "hang up")).start()
        assert_complete(draw(lives, dies, n=40, samples_per_request=1, concurrency=4), n=40)
    assert len(dies.bodies) > 3


def test_a_server_that_comes_back_is_used_again(capfd: pytest.CaptureFixture[str]) -> None:
    start = time.monotonic()
    with serve(fault=lambda number, body: "hang up" if time.monotonic() - start < 1.0 else None) as server:
        assert_complete(draw(server))
    assert "replies again" in capfd.readouterr().err


def test_when_all_are_down_one_sentence_says_which_and_why() -> None:
    with serve(fault=lambda number, body: None if number < 2 else 500) as server:
        url = dead_url()
        seen = []
        engine = OpenaiEngine(base_url=[server.url, url], patience_s=0.5, concurrency=1)
        with pytest.raises(EngineError) as said:
            seen.extend(engine.sample("m", ROWS, 6, SAMPLING, frozenset()))
    assert sum(map(len, seen)) == 12
    sentence = str(said.value)
    assert server.url in sentence
    assert url in sentence
    assert "told to fail with 500" in sentence
    assert "goes on from what is kept" in sentence


def test_servers_that_are_always_busy_are_given_up() -> None:
    with serve(fault=lambda number, body: 429) as server, pytest.raises(EngineError, match="status 429"):
        draw(server, deadline_s=0.5, patience_s=0.5)


def test_a_prompt_that_fails_each_time_does_not_hold_up_the_others() -> None:
    poison = SAMPLING.seed_for("p1")
    with serve(fault=lambda number, body: 500 if body["seed"] == poison else None) as server:
        engine, seen = OpenaiEngine(base_url=server.url, patience_s=30, concurrency=2), []
        with pytest.raises(EngineError, match=r"samples 0 to 5 of problem 'p1'.*told to fail with 500"):
            seen.extend(engine.sample("m", ROWS, 6, SAMPLING, frozenset()))
    assert {sample.prompt_id for batch in seen for sample in batch} == {"p0", "p2", "p3", "p4"}


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_ends_it_with_the_server_s_words(status: int) -> None:
    with serve(fault=lambda number, body: status) as server, pytest.raises(EngineError) as said:
        draw(server, concurrency=1)
    assert f"refuses samples 0 to 5 of problem 'p0' (status {status}): " in str(said.value)
    assert f"told to fail with {status}" in str(said.value)


def test_models_and_adapters_go_by_the_name_the_server_knows() -> None:
    with serve(models=("base", "mine")) as server:
        with pytest.raises(EngineError, match="no model 'm', but 'base', 'mine'; write"):
            draw(server)
        draw(server, served_model="base")
        draw(server, served_model="base", adapter="mine")
    assert [body["model"] for body in server.bodies] == ["base"] * 5 + ["mine"] * 5


def test_the_key_comes_from_the_environment_and_goes_into_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", "s3cret")
    with serve() as server:
        spec = {"name": "openai", "base_url": server.url, "api_key_variable": "OUR_KEY"}
        evaluate("m", FirstLetter(), 2, tmp_path / "out", engine=spec)
        monkeypatch.delenv("OUR_KEY")
        with pytest.raises(ConfigError, match=r"'OUR_KEY'.*is not set"):
            evaluate("m", FirstLetter(), 2, tmp_path / "other", engine=spec)
    assert server.keys == {"Bearer s3cret"}
    assert not [path for path in (tmp_path / "out").iterdir() if b"s3cret" in path.read_bytes()]


def test_an_evaluation_goes_on_with_other_servers_and_needs_none_once_finished(tmp_path: Path) -> None:
    with serve(fault=lambda number, body: None if number < 3 else 400) as first:
        engine = {"name": "openai", "base_url": first.url, "concurrency": 1}
        with pytest.raises(EngineError):
            evaluate("m", FirstLetter(), 4, tmp_path / "out", engine=engine)
    kept = (tmp_path / "out" / "samples.jsonl").read_text()
    assert len(kept.splitlines()) == 12
    with serve() as second:
        engine = {"name": "openai", "base_url": second.url, "concurrency": 8}
        report = evaluate("m", FirstLetter(), 4, tmp_path / "out", engine=engine)
        assert len(second.bodies) == 3
    assert (tmp_path / "out" / "samples.jsonl").read_text().startswith(kept)
    assert evaluate("m", FirstLetter(), 4, tmp_path / "out", engine=engine) == report
    assert report["engine"] == "openai"


def test_a_dead_endpoint_is_found_before_anything_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = f"{Path(__file__).parents[1] / 'conftest.py'}:FirstLetter"
    url = dead_url()
    words = ["eval", "--model", "m", "--task", task, "--n", "2", "--output", str(tmp_path / "out")]
    assert main([*words, "--engine", f"{{name: openai, base_url: '{url}'}}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"rlkit: No server replies: {url} (")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_ctrl_c_gets_through_while_a_server_is_silent(tmp_path: Path) -> None:
    program = """
        import sys
        from rlkit.evaluation.engines.openai import OpenaiEngine
        from rlkit.evaluation import SamplingConfig
        print("go", flush=True)
        list(OpenaiEngine(base_url=sys.argv[1]).sample("m", [{"id": "x", "prompt": "a"}], 1, SamplingConfig(), ()))
    """
    with serve(fault=lambda number, body: 60.0) as server:
        command = [sys.executable, "-c", "\n".join(line.strip() for line in program.splitlines()), server.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while not server.bodies:
                time.sleep(0.05)
                assert process.poll() is None
            process.send_signal(2)
            _, said = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in said


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"base_url": "localhost:8000"}, r"write http://host:port/v1"),
        ({"base_url": []}, r"write http://host:port/v1"),
        ({"base_url": ["http://a/v1", 3]}, r"write http://host:port/v1"),
        ({"base_url": "http://me:key@host/v1"}, r"a key belongs into the variable"),
        ({"dialect": "azure"}, "Allowed: openai, vllm"),
        ({"samples_per_request": 0}, "at least 1"),
        ({"concurrency": True}, "at least 1"),
        ({"deadline_s": 0}, "above 0"),
        ({"patience_s": -1}, "at least 0"),
        ({"logprobs": 1}, "true or false"),
        ({"served_model": ""}, "not empty"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        OpenaiEngine(**parameters)


def test_one_address_and_a_list_are_alike() -> None:
    spec = {"name": "openai", "base_url": ["http://a:1/v1/", "http://a:1/v1"]}
    assert resolve_engine(spec) == OpenaiEngine(base_url="http://a:1/v1")
    assert json.dumps(spec)
