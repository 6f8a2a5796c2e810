"""Files that a crash cannot tear, and one writer a directory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlkit.errors import StoreError
from rlkit.files import LineFile, append_lines, is_ours, locked, read_json, replacing, write_json, write_text


def test_a_file_is_the_old_one_until_it_is_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    write_text(path, "old")
    with replacing(path, ["n", "ew"]) as put_in_place:
        assert path.read_text() == "old"
        put_in_place()
        assert path.read_text() == "new"
    with pytest.raises(RuntimeError), replacing(path, ["never"]):
        raise RuntimeError
    assert path.read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["f.json"]


def test_what_json_does_not_have_is_neither_written_nor_read(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert not path.exists()
    for text in ("[NaN", '{"a": NaN}', "[1]", "{", "[" * 100_000, "\xff"):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(StoreError, match=r"f\.json (cannot be read as JSON|holds no JSON object)"):
            read_json(path)
    with pytest.raises(StoreError, match=r"There is no f\.json"):
        read_json(tmp_path / "none" / "f.json")


def test_half_a_surrogate_pair_becomes_a_question_mark(tmp_path: Path) -> None:
    write_json(tmp_path / "f.json", {"a": "x\ud800"})
    assert read_json(tmp_path / "f.json") == {"a": "x?"}


def test_a_torn_last_line_is_cut_off_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_lines(path, ["one\n"])
    path.write_text("one\ntw")
    with LineFile(path) as file:
        file.append(["two\n", "three\n"])
    assert path.read_text() == "one\ntwo\nthree\n"


def test_what_the_disk_refuses_is_one_sentence(tmp_path: Path) -> None:
    for write in (lambda path: write_text(path, "x"), lambda path: append_lines(path, ["x\n"])):
        with pytest.raises(StoreError, match="cannot be written: No such file or directory; what is in it is kept"):
            write(tmp_path / "none" / "f")


def test_a_lock_keeps_others_out_and_dies_with_its_process(tmp_path: Path) -> None:
    script = f"import pathlib, sys, rlkit.files\nwith rlkit.files.locked(pathlib.Path({str(tmp_path)!r})):\n"
    script += "    print(flush=True)\n    sys.stdin.read()\n"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreError, match="being written by another process"), locked(tmp_path):
            pass
        other.kill()
        other.wait()
        with locked(tmp_path):
            pass
    assert all(is_ours(each.name) for each in tmp_path.iterdir())


def test_a_directory_that_knows_no_locks_can_be_used_all_the_same(tmp_path: Path) -> None:
    with locked(tmp_path / "missing"):
        pass


def test_json_keeps_its_letters(tmp_path: Path) -> None:
    write_json(tmp_path / "f.json", {"a": "é"})
    assert json.loads((tmp_path / "f.json").read_bytes()) == {"a": "é"}
    assert "é".encode() in (tmp_path / "f.json").read_bytes()
