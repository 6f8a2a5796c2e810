"""What a model's name means."""

from __future__ import annotations

import pytest

from rlkit.assets import bundled_models, model_path
from rlkit.errors import ConfigError
from rlkit.models import locate_model


def make_model(folder):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_a_directory_wins_over_an_embedded_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = bundled_models()[0]
    assert locate_model(name) == str(model_path(name))
    make_model(tmp_path / name)
    assert locate_model(name) == name


def test_hub_ids_pass_through_unasked():
    assert locate_model("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    assert locate_model("gpt2") == "gpt2"


@pytest.mark.parametrize("name", ["/nowhere/model", "./model", "runs/a/model", "../model"])
def test_paths_that_do_not_exist_are_not_taken_for_hub_ids(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="There is no model directory"):
        locate_model(name)


def test_one_slash_into_an_existing_folder_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(ConfigError, match="There is no model directory 'runs/gone'"):
        locate_model("runs/gone")


def test_a_run_directory_points_to_the_model_inside_it(tmp_path):
    make_model(tmp_path / "run" / "model")
    with pytest.raises(ConfigError, match=r"holds no config\.json.*write '.*run/model'"):
        locate_model(str(tmp_path / "run"))


def test_a_near_miss_of_an_embedded_name_is_pointed_out():
    with pytest.raises(ConfigError, match="Did you mean 'countdown-tiny'"):
        locate_model("countdown-tny")
