"""Files and `--set` values become plain mappings; what cannot is told with file, place and rule."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from segsweep.config.loading import Number, Real, Scalar, apply_sets, read_yaml, validate
from segsweep.errors import ConfigError, Problem


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a file and name it as a user in its folder would."""
    monkeypatch.chdir(tmp_path)

    def write(content):
        path = Path("job.yaml")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5e-3", 5e-4),
        ("1.0e-4", 1e-4),
        ("10", 10),
        ("0.5", 0.5),
        ("'1e-4'", "1e-4"),
        ("e5", "e5"),
        ("1e", "1e"),
        ("n", "n"),
        ("true", True),
        ("", None),
        ("[n, s]", ["n", "s"]),
    ],
)
def test_values_are_read_as_people_mean_them(file, text, value):
    found = read_yaml(file(f"key: {text}\n"))["key"]
    assert (found, type(found)) == (value, type(value))


def test_sizes_stay_text_as_keys(file):
    assert read_yaml(file("n: {gpus: 0}\ns: {gpus: 1}\n")) == {"n": {"gpus": 0}, "s": {"gpus": 1}}


def test_anchors_and_merges_work(file):
    text = "base: &base {gpus: 0, cpus: 1}\nn: {<<: *base, cpus: 2}\n"
    assert read_yaml(file(text))["n"] == {"gpus": 0, "cpus": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "job.yaml: NoneType: must be a mapping of names to values"),
        ("- 1", "job.yaml: list: must be a mapping of names to values"),
        ("word", "job.yaml: str: must be a mapping of names to values"),
        ("a: 1\nb: 2\na: 3", "job.yaml: is not YAML: key 'a' stands twice in"),
        ("a: {b: 1, b: 1}", "job.yaml: is not YAML: key 'b' stands twice in"),
        ("a: [", "job.yaml: is not YAML: while parsing a flow node"),
        ("a: 2024-99-99", "job.yaml: is not YAML: month must be in 1..12"),
        ("a: &x {b: *x}", "job.yaml: is not YAML: a value holds itself"),
        ("? [a]\n: b", "job.yaml: is not YAML: while constructing a mapping"),
        ("a: !!python/object/apply:os.system [ls]", "job.yaml: is not YAML: could not determine a constructor"),
        ("a: \0", "job.yaml: is not YAML: unacceptable character"),
        (b"a: \xff", "job.yaml: cannot be read: 'utf-8' codec can't decode"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_by_name(file, content, message):
    with pytest.raises(ConfigError) as caught:
        read_yaml(file(content))
    assert str(caught.value).startswith(message)


def test_a_duplicate_key_is_told_with_its_line(file):
    with pytest.raises(ConfigError, match="line 3, column 1"):
        read_yaml(file("a: 1\nb: 2\na: 3"))


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^no.yaml: no such file \(check the path; it is relative to the folder"):
        read_yaml(Path("no.yaml"))
    with pytest.raises(ConfigError, match=r"^\.: cannot be read: .*Is a directory"):
        read_yaml(Path())


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], {"a": {"b": 1}, "c": 2}),
        (["c=3"], {"a": {"b": 1}, "c": 3}),
        (["a.b=3", "a.b=4"], {"a": {"b": 4}, "c": 2}),
        (["a.d=x", "e.f.g=[1, 2]"], {"a": {"b": 1, "d": "x"}, "c": 2, "e": {"f": {"g": [1, 2]}}}),
        (["a={b: 5}"], {"a": {"b": 5}, "c": 2}),
        (["a.b="], {"a": {"b": None}, "c": 2}),
        (["c=1e-4"], {"a": {"b": 1}, "c": 1e-4}),
        (["c=x=y"], {"a": {"b": 1}, "c": "x=y"}),
    ],
)
def test_assignments_reach_into_nested_names(sets, expected):
    data = {"a": {"b": 1}, "c": 2}
    assert apply_sets(data, sets) == expected
    assert data == {"a": {"b": 1}, "c": 2}


def test_all_broken_assignments_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        apply_sets(
            {"a": 1}, ["b", "=1", "a..b=1", ".=1", "a.b=1", "a.b.c=1", "b=[", "b=2024-99-99", "b=" + "[" * 1000, "ok=1"]
        )
    assert str(caught.value).splitlines() == [
        "--set: b: must look like a.b=value",
        "--set: =1: must look like a.b=value",
        "--set: a..b=1: must look like a.b=value",
        "--set: .=1: must look like a.b=value",
        "--set: a.b=1: a is not a mapping",
        "--set: a.b.c=1: a.b is not a mapping",
        "--set: b=[: the value is not YAML",
        "--set: b=2024-99-99: the value is not YAML",
        f"--set: b={'[' * 1000}: the value is not YAML",
    ]


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: Real = 1.0
    height: Number = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner = Inner()
    named: dict[str, Inner] = Field(default_factory=dict)
    choice: tuple[Scalar, ...] = ()
    needed: int


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        ({}, ["f.yaml: needed: is required"]),
        ({"needed": "one"}, ["f.yaml: needed = 'one': must be a valid integer, unable to parse string as an integer"]),
        ({"needed": 1, "inner": 3}, ["f.yaml: inner = 3: must be a mapping of names to values"]),
        ({"needed": 1, "iner": 3}, ["f.yaml: iner = 3: unknown key (did you mean inner?)"]),
        (
            {"needed": 1, "zzz": 3},
            ["f.yaml: zzz = 3: unknown key (remove it; known are inner, named, choice, needed)"],
        ),
        ({"needed": 1, "inner": {"widht": 2}}, ["f.yaml: inner.widht = 2: unknown key (did you mean width?)"]),
        (
            {"needed": 1, "named": {"a": {"hight": 2}}},
            ["f.yaml: named.a.hight = 2: unknown key (did you mean height?)"],
        ),
        ({"needed": 1, "named": {3: {}}}, ["f.yaml: named.3 = 3: must be a valid string"]),
        ({"needed": 1, "inner": {"width": "2"}}, ["f.yaml: inner.width = '2': must be a valid number"]),
        ({"needed": 1, "inner": {"height": True}}, ["f.yaml: inner.height = True: must be a number"]),
        (
            {"needed": 1, "choice": [1, [2], None]},
            [
                "f.yaml: choice.1 = [2]: must be a number, a text, true or false",
                "f.yaml: choice.2 = None: must be a number, a text, true or false",
            ],
        ),
        ({"needed": 1, "choice": "abc"}, ["f.yaml: choice = 'abc': must be a list"]),
        (
            {"needed": 1, "inner": "x" * 200},
            ["f.yaml: inner = '" + "x" * 76 + "...: must be a mapping of names to values"],
        ),
    ],
)
def test_each_mistake_is_one_problem_with_field_value_and_rule(data, messages):
    with pytest.raises(ConfigError) as caught:
        validate(Outer, data, "f.yaml")
    assert str(caught.value).splitlines() == messages
    assert all(isinstance(problem, Problem) for problem in caught.value.problems)


def test_scalars_keep_their_type_through_a_model_and_back():
    model = validate(Outer, {"needed": 1, "choice": [1, 1.0, "1", True], "inner": {"width": 2, "height": 3}}, "f.yaml")
    assert [type(option) for option in model.choice] == [int, float, str, bool]
    assert (type(model.inner.width), type(model.inner.height)) == (float, int)
    assert [type(option) for option in model.model_dump(mode="json")["choice"]] == [int, float, str, bool]
