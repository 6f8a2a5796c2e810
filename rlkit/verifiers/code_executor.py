"""The sandbox on another machine: for code that could be hostile rather than merely wrong.

On a machine that holds nothing worth taking (a container or virtual machine without the run's files and keys):

    python -m rlkit.verifiers.code_executor --host 0.0.0.0 --port 8400

and in the recipe `{name: code_tests, executor_url: "http://that-machine:8400"}`. One POST a completion with the code,
its tests and limits as JSON; the reply is the code's label and how many tests it passed. A server of your own may
speak the same. The server prints a token when it starts, or takes the one in RLKIT_EXECUTOR_TOKEN; whoever asks has to
send it, and the trainer reads it from the same variable. Pages of a browser are refused.
"""

from __future__ import annotations

import argparse
import hmac
import http.client
import json
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rlkit.errors import RewardError, RlkitError
from rlkit.verifiers.code_checking import JudgedCode, check_functions, check_outputs
from rlkit.verifiers.sandbox import Limits

TOKEN_VARIABLE = "RLKIT_EXECUTOR_TOKEN"
"""The environment variable with the token that an executor asks for."""
_LONGEST_REQUEST = 16 << 20
_GRACE_S = 15.0
"""Seconds that a request may take beyond the runs themselves: the network, and a server that has others to serve."""


def check_remotely(url: str, job: Mapping[str, Any], limits: Limits) -> JudgedCode:
    """Have an executor check some code.

    Args:
        url: of the executor.
        job: `{"code", "cases"}` as for `check_outputs`, or `{"code", "tests", "entry_point", "prelude"}` as for
            `check_functions`.
        limits: of each run there.

    Raises:
        RewardError: the executor cannot be reached, is late, refuses, or replies with no label; never a label.
    """
    body = json.dumps({**job, "limits": asdict(limits)}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get(TOKEN_VARIABLE, '')}"}
    request = urllib.request.Request(url, data=body, headers=headers)
    patience_s = limits.wall_s * max(1, len(job.get("cases") or ())) + _GRACE_S
    try:
        with urllib.request.urlopen(request, timeout=patience_s) as response:
            found = json.loads(response.read(_LONGEST_REQUEST))
        # Executors from before labels were called so reply with a verdict.
        label = str(found["label"] if "label" in found else found["verdict"])
        return JudgedCode(label, int(found["num_passed"]), int(found["num_tests"]), found.get("detail"))
    except urllib.error.HTTPError as error:
        said = error.read(300).decode(errors="replace").strip()
        raise RewardError(f"The executor at {url} refuses with status {error.code}: {said or error.reason}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise RewardError(f"The executor at {url} gave no reply: {error}; start it, or mend executor_url.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RewardError(f"The executor at {url} replied with what is no label.") from error


def check_here(job: Mapping[str, Any], limits: Limits) -> JudgedCode:
    """Check some code in this machine's sandbox; arguments as for `check_remotely`.

    Raises:
        RewardError: the sandbox cannot run here.
        KeyError, TypeError: the job lacks its code or tests.
    """
    if job.get("cases") is not None:
        return check_outputs(job["code"], job["cases"], limits)
    return check_functions(job["code"], job["tests"], job.get("entry_point"), job.get("prelude") or "", limits)


class _Handler(BaseHTTPRequestHandler):
    token: str

    def do_POST(self) -> None:
        """Answer one request."""
        if refusal := self._refusal():
            return self._reply(*refusal)
        try:
            length = int(self.headers.get("Content-Length", 0))
            if not 0 < length <= _LONGEST_REQUEST:
                raise ValueError(f"a request of {length} bytes")
            job = json.loads(self.rfile.read(length))
            judged = check_here(job, Limits(**job.pop("limits")))
            self._reply(200, asdict(judged))
        except RlkitError as error:
            self._reply(422, {"error": str(error)})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # JSON of another shape than a job's.
            self._reply(400, {"error": f"{type(error).__name__}: {error}"})

    def _refusal(self) -> tuple[int, dict[str, str]] | None:
        """Return why a request is not even read: a page of a browser can send one, but neither token nor type."""
        if self.headers.get("Origin") or self.headers.get("Sec-Fetch-Site"):
            return 403, {"error": "requests of web pages are refused"}
        if self.headers.get_content_type() != "application/json":
            return 415, {"error": "send application/json"}
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return 401, {"error": f"set {TOKEN_VARIABLE} to the token that the executor printed when it started"}
        return None

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a line for each completion would drown what matters."""

    def _reply(self, status: int, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m rlkit.verifiers.code_executor",
        description="Run untrusted code for code_tests in this machine's sandbox.",
        epilog="example: python -m rlkit.verifiers.code_executor --port 8400",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8400, help="(default: %(default)s; 0 takes a free one)")
    args = parser.parse_args(argv)
    given = os.environ.get(TOKEN_VARIABLE)
    _Handler.token = given or secrets.token_urlsafe(24)
    with ThreadingHTTPServer((args.host, args.port), _Handler) as server:
        if not given:
            print(f"{TOKEN_VARIABLE}={_Handler.token}", flush=True)
        print(f"Listening on http://{server.server_address[0]!s}:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
