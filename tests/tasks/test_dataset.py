"""Tasks made of data sets: rows, grades and rewards of every format and verifier, and mistakes said in a sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from rlkit.errors import ConfigError, PluginError, RewardError
from rlkit.rewards import resolve_reward
from rlkit.tasks import TASKS, resolve_task
from rlkit.tasks.benchmarks import BENCHMARKS
from rlkit.types import Grade

DATA = Path(__file__).resolve().parent.parent / "data" / "tasks"


def write_rows(path: Path, rows: list[dict]) -> str:
    """Write a data file of the kind that its name ends in."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


@pytest.mark.parametrize(
    ("name", "file", "golds"),
    [
        ("gsm8k", "gsm8k", ["2,400", "35"]),
        ("math500", "math500.jsonl", [r"5\sqrt{2}", r"\frac{1}{2}", r"\{-3,3\}"]),
        ("olympiadbench", "olympiadbench.jsonl", ["$100$", "1, 2"]),
    ],
)
def test_a_benchmark_reads_a_local_copy_and_its_verifier_holds(name, file, golds):
    task = resolve_task({"name": name, "path": str(DATA / file)})
    rows = task.load("test")
    assert [row["gold"] for row in rows] == golds
    assert rows == task.load("test")
    assert task.name == name
    prompt = rows[0]["prompt"][0]["content"]
    assert prompt.endswith(r"put your final answer within \boxed{}.")
    task.validate()


def test_every_benchmark_can_be_named_and_is_validated_without_its_data():
    assert {*BENCHMARKS} <= {*TASKS.builtins}
    for name, benchmark in BENCHMARKS.items():
        assert resolve_task(name) == benchmark.task


def test_ids_follow_the_column_that_the_benchmark_names():
    task = resolve_task({"name": "math500", "path": str(DATA / "math500.jsonl")})
    assert task.load("test")[0]["id"] == "math500/test/test/algebra/1.json"


def test_what_the_hub_does_not_give_offline_is_said_in_a_sentence():
    with pytest.raises(ConfigError, match=r"The data set math-ai/amc23, split 'test', cannot be loaded .* give path:"):
        resolve_task("amc23").load("test")


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path, suffix):
    rows = [{"question": "2+3?", "answer": "5"}, {"question": "2*3?", "answer": "6"}]
    task = resolve_task({"name": "jsonl", "path": write_rows(tmp_path / f"sums{suffix}", rows)})
    loaded = task.load("test")
    assert [(row["prompt"], row["gold"]) for row in loaded] == [
        ([{"role": "user", "content": "2+3?"}], "5"),
        ([{"role": "user", "content": "2*3?"}], "6"),
    ]
    assert [row["id"] for row in loaded] == ["sums/test/0", "sums/test/1"]
    assert task.grade(r"\boxed{\frac{10}{2}}", loaded[0]).correct


def test_a_yaml_file_of_five_lines_is_a_task():
    task = resolve_task(str(DATA / "capitals.yaml"))
    row = task.load("test")[0]
    assert row["prompt"] == [{"role": "user", "content": "What is the capital of France?"}]
    assert (task.name, row["id"]) == ("capitals", "capitals/test/0")
    assert [task.grade(text, row).label for text in ("paris", "The answer is Paris.", "Lyon", "")] == [
        "correct",
        "correct",
        "wrong_answer",
        "no_answer",
    ]
    task.validate()


def test_a_yaml_file_can_set_the_parameters_of_a_known_task(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"name: gsm8k\npath: {DATA / 'gsm8k'}\nformat: plain\nsystem: Be brief.\n")
    prompt = resolve_task(str(file)).load("train")[0]["prompt"]
    assert prompt.startswith("Be brief.\n\nMia has 4 baskets")


def test_letters_are_chosen_among_those_allowed():
    task = resolve_task({"name": "jsonl", "path": str(DATA / "letters.json"), "verifier": "multiple_choice"})
    row = task.load("test")[0]
    assert task.grade(r"\boxed{c}", row) == Grade(True, "correct", "C")
    assert task.grade("The answer is (A).", row).label == "wrong_answer"
    assert task.grade("C is prime, I think", row).label == "no_answer"
    task.validate()


def test_a_function_of_ones_own_judges_with_every_column(tmp_path):
    (tmp_path / "judge.py").write_text(
        "def longer(completion, row):\n"
        "    if completion == 'crash':\n        raise ValueError\n"
        "    return None if completion == '?' else len(completion) >= row['length']\n"
    )
    write_rows(tmp_path / "texts.jsonl", [{"question": "Write!", "answer": "xxxx", "length": 3}])
    (tmp_path / "task.yaml").write_text("path: texts.jsonl\nverifier: judge.py:longer\n")
    task = resolve_task(str(tmp_path / "task.yaml"))
    row = task.load("test")[0]
    verdicts = [task.grade(text, row).label for text in ("abc", "a", "?", "crash")]
    assert verdicts == ["correct", "wrong_answer", "not_judged", "grader_error"]
    task.validate()
    reward = resolve_reward(task.default_rewards[0])
    columns = {key: [value] * 4 for key, value in row.items() if key != "prompt"}
    assert reward(["abc", "a", "?", "crash"], prompts=[row["prompt"]] * 4, **columns) == [1.0, 0.0, None, None]


def test_the_reward_judges_a_batch_of_different_verifiers():
    sums = resolve_task({"name": "gsm8k", "path": str(DATA / "gsm8k")}).load("test")
    letters = resolve_task({"name": "jsonl", "path": str(DATA / "letters.json"), "verifier": "multiple_choice"})
    rows = [*sums, *letters.load("test")]
    columns = {key: [row[key] for row in rows] for key in ("gold", "verifier", "choices", "last_number")}
    reward = resolve_reward(letters.default_rewards[0])
    completions = [
        [{"role": "assistant", "content": r"\boxed{2400}"}],
        "The answer is 36.",
        r"\boxed{C}",
        "no idea",
    ]
    assert reward(completions, prompts=[row["prompt"] for row in rows], **columns) == [1.0, 0.0, 1.0, 0.0]


def test_the_last_number_counts_only_where_the_task_says_so():
    path = str(DATA / "gsm8k")
    strict, lenient = (resolve_task({"name": "gsm8k", "path": path, "last_number": flag}) for flag in (False, True))
    text = "7 times 5 makes 35"
    assert strict.grade(text, strict.load("test")[1]).label == "no_answer"
    assert lenient.grade(text, lenient.load("test")[1]).correct


@pytest.mark.parametrize(
    ("rows", "spec", "said"),
    [
        ([{"question": "a", "answer": "1"}], {"prompt": "questoin"}, "no column 'questoin'. Did you mean 'question'?"),
        ([{"question": "a", "answer": "1"}], {"gold": "solution"}, "Row 1 of data .test. has no column 'solution'"),
        (
            [{"question": "a", "answer": "1"}, {"question": "b", "answer": ""}],
            {},
            "Row 2 .* nothing in its column 'answer'",
        ),
        ([{"question": "a", "answer": "1"}, {"question": "b", "answer": None}], {}, "Row 2 .* nothing in its column"),
        ([], {}, "The split 'test' of 'data' is empty"),
        ([{"id": 1, "question": "a", "answer": "1"}] * 2, {}, "gives 2 rows the id 'data/test/1'"),
        ([{"question": "a", "answer": "1"}], {"prompt": "Do {}!"}, "names no column"),
        (
            [{"question": "a", "answer": "1"}],
            {"verifier": "maths"},
            "No verifier is called 'maths'. Did you mean 'math'",
        ),
        ([{"question": "a", "answer": "1"}], {"format": "text"}, "data was given format='text'"),
        ([{"question": "a", "answer": "1"}], {"hub": "a/b"}, "exactly one of the two"),
    ],
)
def test_what_is_wrong_with_the_data_is_said_in_a_sentence(tmp_path, rows, spec, said):
    path = write_rows(tmp_path / "data.jsonl", rows)
    with pytest.raises(ConfigError, match=said):
        resolve_task({"name": "jsonl", "path": path, **spec}).load("test")


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "torn.jsonl").write_text('{"question": "a", "answer": "1"}\n{"question": \n')
    (tmp_path / "list.jsonl").write_text("[1]\n")
    (tmp_path / "bad.parquet").write_bytes(b"nothing of the kind")
    (tmp_path / "text.txt").write_text("a")
    for name, said in {
        "torn.jsonl": "Line 2 of .* is not JSON",
        "list.jsonl": "Line 1 of .* holds no JSON object",
        "bad.parquet": "cannot be read as parquet",
        "text.txt": "no data file that can be read",
        "gone.jsonl": "does not exist",
    }.items():
        with pytest.raises(ConfigError, match=said):
            resolve_task({"name": "jsonl", "path": str(tmp_path / name)}).load("test")


def test_a_single_file_is_every_split_and_a_folder_holds_them_apart(capfd):
    one = resolve_task({"name": "jsonl", "path": str(DATA / "math500.jsonl"), "prompt": "problem"})
    assert [row["prompt"] for row in one.load("train")] == [row["prompt"] for row in one.load("test")]
    assert "train and test are the same; test: 0.1 would hold a tenth out" in capfd.readouterr().err
    with pytest.raises(ConfigError, match=r"has no split 'tset'\. Did you mean 'test'\?"):
        one.load("tset")
    folder = resolve_task({"name": "jsonl", "path": str(DATA / "gsm8k")})
    assert {row["id"] for row in folder.load("train")}.isdisjoint(row["id"] for row in folder.load("test"))


def test_validate_finds_gold_that_the_verifier_refuses_and_problems_in_two_splits(tmp_path):
    path = write_rows(tmp_path / "proofs.jsonl", [{"question": "Prove it.", "answer": "D"}])
    task = resolve_task({"name": "jsonl", "path": path, "verifier": "multiple_choice", "choices": "ABC"})
    with pytest.raises(RewardError, match="The gold answer of 'proofs/test/0', 'D', is graded no_answer"):
        task.validate()
    for split in ("train", "test"):
        write_rows(tmp_path / f"{split}.jsonl", [{"question": "1+1?", "answer": "2"}])
    with pytest.raises(RewardError, match="'proofs/test/0' is also in the split 'train'"):
        resolve_task({"name": "jsonl", "path": str(tmp_path), "title": "proofs"}).validate()


@pytest.mark.parametrize(("text", "said"), [("- a\n", "holds no mapping"), ("a: [\n", "is not YAML")])
def test_a_task_file_that_is_none_is_refused(tmp_path, text, said):
    (tmp_path / "task.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        resolve_task(str(tmp_path / "task.yaml"))


def test_a_missing_task_file_and_an_unknown_parameter_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        resolve_task(str(tmp_path / "gone.yaml"))
    with pytest.raises(PluginError, match=r"has no parameter 'promt'\. Did you mean 'prompt'\?"):
        resolve_task({"name": "gsm8k", "promt": "x"})


def test_many_completions_are_graded_as_each_alone(tmp_path):
    path = tmp_path / "sums.jsonl"
    golds = ["1/2", "3", "x + 1"]
    path.write_text("".join(json.dumps({"question": f"q{at}", "answer": gold}) + "\n" for at, gold in enumerate(golds)))
    task = resolve_task({"name": "jsonl", "path": str(path)})
    texts = [r"\boxed{0.5}", r"\boxed{1 + x}", "none", r"\boxed{3}"] * 3
    rows = [row for row in task.load("test") for _ in range(4)]
    together = task.grade_all(texts, rows)
    assert together == [task.grade(text, row) for text, row in zip(texts, rows, strict=True)]
    assert [grade.correct for grade in together].count(True) == 3


def test_a_share_of_one_file_is_held_out_by_the_prompts_alone(tmp_path):
    rows = [{"question": f"{number % 40} + 1?", "answer": str(number % 40 + 1)} for number in range(80)]
    spec = {"name": "jsonl", "path": write_rows(tmp_path / "sums.jsonl", rows), "test": 0.25, "format": "plain"}
    train, test = (resolve_task(spec).load(split) for split in ("train", "test"))
    assert (len(train), len(test)) == (60, 20)
    assert {row["prompt"] for row in train}.isdisjoint(row["prompt"] for row in test)
    write_rows(tmp_path / "sums.jsonl", rows[::-1])
    assert {row["prompt"] for row in resolve_task(spec).load("test")} == {row["prompt"] for row in test}


def test_the_test_split_can_be_another_file_named_beside_the_task_file(tmp_path):
    for name in ("mine", "held"):
        write_rows(tmp_path / f"{name}.jsonl", [{"question": name, "answer": "1"}])
    (tmp_path / "task.yaml").write_text("path: mine.jsonl\ntest: held.jsonl\nformat: plain\n", encoding="utf-8-sig")
    task = resolve_task(str(tmp_path / "task.yaml"))
    assert [task.load(split)[0]["prompt"] for split in ("train", "test")] == ["mine", "held"]


@pytest.mark.parametrize("test", [0, 1, 1.5, True, "", float("nan")])
def test_a_share_that_is_none_is_refused(test):
    with pytest.raises(ConfigError, match="was given test="):
        resolve_task({"name": "jsonl", "path": "x.jsonl", "test": test})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "question,answer\n1+1=é?,2\n"),
        ("a.jsonl", '{"question": "1+1=é?", "answer": 2}\n'),
        ("a.json", '[{"question": "1+1=é?", "answer": 2}]'),
    ],
)
def test_a_byte_order_mark_says_the_encoding(tmp_path, name, text, encoding):
    (tmp_path / name).write_text(text, encoding=encoding)
    row = resolve_task({"name": "jsonl", "path": str(tmp_path / name), "format": "plain"}).load("test")[0]
    assert (row["prompt"], row["gold"]) == ("1+1=é?", "2")


def test_messages_are_the_prompt_and_a_field_of_a_mapping_is_the_gold_answer(tmp_path):
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}]
    row = {"prompt": chat, "reward_model": {"ground_truth": "2"}, "extra": {"a": [1]}}
    spec = {"name": "jsonl", "path": write_rows(tmp_path / "verl.jsonl", [row]), "prompt": "prompt"}
    task = resolve_task(spec | {"gold": "reward_model.ground_truth"})
    loaded = task.load("test")[0]
    assert (loaded["prompt"], loaded["gold"], loaded["extra"]) == (chat, "2", {"a": [1]})
    other = resolve_task(spec | {"gold": "reward_model.ground_truth", "system": "Think."}).load("test")[0]["prompt"]
    assert other == [{"role": "system", "content": "Think."}, chat[1]]
    with pytest.raises(ConfigError, match=r"Row 1 .* holds messages .* write format: chat"):
        resolve_task(spec | {"gold": "reward_model.ground_truth", "format": "plain"}).load("test")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "q", "answer": {"ground_truth": "2"}}, "'answer', which is no text.*answer.ground_truth"),
        ({"question": "q", "answer": float("nan")}, "holds nan in its column 'answer'"),
        ({"question": "q", "answer": float("inf")}, "holds inf in its column 'answer'"),
        ({"question": "q", "answer": [1, None]}, "'answer', which is no text"),
        ({"question": "q", "answer": "work ####"}, "nothing behind the ####"),
        ({"question": "q", "answer": "  "}, "nothing in its column 'answer'"),
        ({"question": {"text": "q"}, "answer": "2"}, "'question', which is no text.*question.text"),
        ({"question": float("nan"), "answer": "2"}, "holds nan in its column 'question'"),
        ({"question": ["a", "b"], "answer": "2"}, "'question'; write a text, or a list of messages"),
        ({"question": [{"from": "human", "value": "q"}], "answer": "2"}, "write a text, or a list of messages"),
        ({"question": [{"role": "user", "content": None}], "answer": "2"}, "write a text, or a list of messages"),
        ({"question": "q", "answer": "2", "id": {"a": 1}}, "'id', which is no text"),
        ({"question": "q", "answer": "2", "id": float("nan")}, "holds nan in its column 'id'"),
    ],
)
def test_what_is_no_text_is_refused_with_row_and_column(tmp_path, row, said):
    path = write_rows(tmp_path / "data.jsonl", [{"question": "fine", "answer": "1"}, row])
    with pytest.raises(ConfigError, match=f"^Row 2 of data .test. .*{said}"):
        resolve_task({"name": "jsonl", "path": path}).load("test")


@pytest.mark.parametrize("answer", [2, 2.5, True, [1, 2], "0"])
def test_numbers_and_flags_have_a_text(tmp_path, answer):
    path = write_rows(tmp_path / "data.jsonl", [{"question": 7, "answer": answer}])
    row = resolve_task({"name": "jsonl", "path": path, "format": "plain"}).load("test")[0]
    assert row["prompt"] == "7"
    assert row["gold"] == {2: "2", 2.5: "2.5"}.get(answer if not isinstance(answer, list) else None, row["gold"])
    assert row["answer"] == answer


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "question,answer\nWhat, exactly, is 1+1?,2\n", "Line 2 of .* has 4 cells.* names 2 columns"),
        ("a.csv", "question,answer,answer\na,2,3\n", "two columns 'answer'"),
        ("a.csv", 'question,answer\n"a,2\nb,3\n', "cannot be read: unexpected end of data"),
        ("a.jsonl", '{"question": "a", "answer": 1, "answer": 2}\n', "Line 1 of .* gives 'answer' twice"),
        ("a.jsonl", "[" * 100_000 + "\n", "Line 1 of .* is not JSON"),
    ],
)
def test_files_whose_cells_cannot_be_told_apart_are_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        resolve_task({"name": "jsonl", "path": str(tmp_path / name)}).load("test")


def test_columns_of_ones_own_are_kept_beside_those_of_the_task(tmp_path):
    own = {"tests": "assert f(1) == 1", "kind": {"a": [1, None]}, "choices": ["x", "y"], "verifier": "mine"}
    path = write_rows(tmp_path / "data.jsonl", [{"question": "q", "answer": "B", **own}])
    row = resolve_task({"name": "jsonl", "path": path, "verifier": "exact"}).load("test")[0]
    assert (row["tests"], row["kind"], row["choices"], row["verifier"]) == (
        own["tests"],
        own["kind"],
        own["choices"],
        "exact",
    )
    lettered = resolve_task({"name": "jsonl", "path": path, "verifier": "multiple_choice"})
    assert lettered.load("test")[0]["choices"] == "ABCDE"
    lettered.validate()


def test_a_gold_answer_that_no_other_answer_can_be_compared_with_is_found(tmp_path):
    # As it is written it is its own answer, so that alone proves nothing.
    write_rows(tmp_path / "d.jsonl", [{"question": "a", "answer": "1/0"}, {"question": "b", "answer": "2"}])
    task = resolve_task({"name": "jsonl", "path": str(tmp_path / "d.jsonl")})
    with pytest.raises(RewardError, match=r"cannot be told from the gold answer '1/0' of 'd/test/0' \(grader_error\)"):
        task.validate()


def test_every_gold_answer_is_tried_and_all_that_fail_are_counted(tmp_path):
    rows = [{"question": f"q{at}", "answer": "F" if at >= 97 else "A"} for at in range(100)]
    path = write_rows(tmp_path / "data.jsonl", rows)
    task = resolve_task({"name": "jsonl", "path": path, "verifier": "multiple_choice"})
    with pytest.raises(RewardError, match=r"'data/test/97', 'F', is graded .* 2 more of 100 rows .*test/98"):
        task.validate()
