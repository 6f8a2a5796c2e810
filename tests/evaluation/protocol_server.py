"""A small server that speaks the OpenAI protocol, and fails as real ones do when it is told to."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[[int, dict[str, Any]], Any]
"""Number of the request (from 0) and its body -> None, a status, `garbage`, `hang up`, or seconds to wait."""

LETTERS = "abcdefgh"


@dataclass
class ProtocolServer:
    """Completes with letters that the seed decides: sample i of a request draws as with seed + i, as in vLLM."""

    fault: Fault = lambda number, body: None
    models: tuple[str, ...] = ("m",)
    max_n: int = 1000
    context: int = 100_000
    ignores_n: bool = False
    gives_logprobs: bool = True
    gives_usage: bool = True
    gives_ids: bool = True
    choice: dict[str, Any] = field(default_factory=dict)
    """Fields that every choice gets."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @contextlib.contextmanager
    def running(self) -> Iterator[ProtocolServer]:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def enter(self, body: dict[str, Any]) -> int:
        with self._lock:
            self.bodies.append(body)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return len(self.bodies) - 1

    def leave(self) -> None:
        with self._lock:
            self._at_once -= 1

    def complete(self, body: dict[str, Any], is_chat: bool) -> dict[str, Any]:
        count = 1 if self.ignores_n else body.get("n", 1)
        choices = [self._choice(index, body, is_chat) for index in range(count)]
        reply = {"id": "x", "object": "x", "created": 0, "model": body["model"], "choices": choices}
        if self.gives_usage:
            total = sum(length_of(body["seed"] + index) for index in range(count))
            reply["usage"] = {"completion_tokens": total, "prompt_tokens": 1, "total_tokens": total + 1}
        # Choices need not come in their order.
        choices.reverse()
        return reply

    def _choice(self, index: int, body: dict[str, Any], is_chat: bool) -> dict[str, Any]:
        text, length = text_of(body["seed"] + index), length_of(body["seed"] + index)
        said = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
        choice = {"index": index, "finish_reason": "stop", **said}
        wanted = body.get("logprobs")
        # 0 asks for the drawn token's alone.
        if wanted is not None and wanted is not False and self.gives_logprobs:
            logps = [-0.5] * length
            choice["logprobs"] = (
                {"content": [{"token": "a", "logprob": logp, "bytes": None, "top_logprobs": []} for logp in logps]}
                if is_chat
                else {"token_logprobs": logps, "tokens": ["a"] * length, "top_logprobs": None, "text_offset": []}
            )
        if self.gives_ids and body.get("return_token_ids"):
            choice["token_ids"] = [0] * length
        return choice | self.choice


def length_of(seed: int) -> int:
    return 2 + seed % 5


def text_of(seed: int) -> str:
    return " ".join(LETTERS[(seed // 7**i) % 8] for i in range(length_of(seed) - 1))


def _handler(server: ProtocolServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(200, json.dumps({"object": "list", "data": [{"id": name} for name in server.models]}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.keys.add(self.headers.get("Authorization", ""))
            number = server.enter(body)
            try:
                self._answer(server.fault(number, body), body)
            finally:
                server.leave()

        def _answer(self, fault: Any, body: dict[str, Any]) -> None:
            if isinstance(fault, float):
                time.sleep(fault)
            if fault == "hang up":
                self.close_connection = True
                self.connection.close()
            elif fault == "garbage":
                self._reply(200, b"<html>it works</html>")
            elif isinstance(fault, int):
                self._reply(fault, json.dumps({"error": {"message": f"told to fail with {fault}"}}).encode())
            elif (body["max_tokens"] or 0) > server.context:
                said = f"max_tokens={body['max_tokens']} cannot be greater than max_model_len={server.context}"
                self._reply(400, json.dumps({"error": {"message": said}}).encode())
            elif body.get("n", 1) > server.max_n:
                self._reply(400, json.dumps({"error": {"message": f"'n' must be at most {server.max_n}"}}).encode())
            else:
                self._reply(200, json.dumps(server.complete(body, self.path.endswith("chat/completions"))).encode())

        def _reply(self, status: int, content: bytes) -> None:
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler
