import re

import numpy as np
import pytest

from lelkern.config import ConfigError
from lelkern.data import DataConfig, DataError, DataSource, TableData, TaskData


@pytest.fixture
def read(tmp_path):
    """Writes text to a file and reads it as a study would."""

    def write_and_read(text, **options) -> TableData | TaskData:
        file = tmp_path / "flowers.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return DataSource(DataConfig(name=str(file), test_fraction=0.5, **options)).load()

    return write_and_read


def rows(data):
    """All samples with their targets, sorted, whichever part they are in."""
    parts = [(data.train_x, data.train_y), (data.test_x, data.test_y)]
    return sorted(
        (*x.tolist(), y) for xs, ys in parts for x, y in zip(xs, ys.tolist(), strict=True)
    )


def test_the_last_column_is_predicted_and_text_is_classes(read):
    data = read("width,height,kind\n1,2,rose\n3,4.5,tulip\n5,6,rose\n-1e2,8,tulip\n")
    assert data.name == "flowers"
    assert data.features == ("width", "height")
    assert data.classes == ("rose", "tulip")
    assert rows(data) == [(-100, 8, 1), (1, 2, 0), (3, 4.5, 1), (5, 6, 0)]
    assert np.bincount(data.test_y).tolist() == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "kind;a\n10;1\n9;2\n10;3\n9;4\n",
        "kind\ta\n10\t1\n9\t2\n\n10\t3\n9\t4",
        '\ufeffkind,a\r\n"10",1\r\n9 , 2\r\n10,3\r\n9,4\r\n',
    ],
    ids=["semicolons", "tabs and a blank row", "byte order mark, quotes and blanks"],
)
def test_dialects_and_a_target_by_name(read, text):
    data = read(text, target="kind")
    assert data.features == ("a",)
    assert data.classes == ("9", "10")  # whole numbers in their own order
    assert rows(data) == [(1, 1), (2, 0), (3, 1), (4, 0)]


def test_numbers_with_a_decimal_point_are_targets(read):
    data = read("a,y\n1,2\n3,4.0\n5,1e3\n")
    assert data.classes == ()
    assert rows(data) == [(1, 2), (3, 4), (5, 1000)]


def test_a_whole_number_among_those_with_a_decimal_point_is_a_target(read):
    data = read("a,y\n1,1\n3,1.0\n5,007\n")
    assert data.classes == ()
    assert rows(data) == [(1, 1), (3, 1), (5, 7)]


@pytest.mark.parametrize(
    "names",
    [
        ["0", "1", "2", "10"],
        ["-3", "007", "010"],
        ["+5", "٤", "9"],
        ["1", "9223372036854775806", "9223372036854775807", "8" * 400],
        ["1", "1.0", "10", "2", "one"],
        ["n", "n\0"],
    ],
    ids=[
        "as numbers are written",
        "zeros in front",
        "a sign, and other digits",
        "more than 64 bits",
        "text among them",
        "NUL",
    ],
)
def test_names_of_classes_stay_as_they_are_written(read, names):
    """Whole numbers are in their own order, others in that of letters, whatever the rows' is."""
    whole = all(name.lstrip("+-").isdigit() for name in names)
    order = sorted(names, key=int if whole else str)
    text = "".join(f"{name},{i}\n" for i, name in enumerate(names))
    data = read(f"y,a\n{text}{text}", target="y")
    assert data.classes == tuple(order)
    assert rows(data) == [(i, order.index(name)) for i, name in enumerate(names) for _ in range(2)]


def test_quotes_and_blanks_around_a_name_are_no_part_of_it(read):
    data = read('a,y\n1,007\n2,"007"\n3, 007 \n4," 007"\n5,8\n6,"8"\n')
    assert data.classes == ("007", "8")
    assert rows(data) == [(i, int(i > 4)) for i in range(1, 7)]


@pytest.mark.parametrize("more", ["", "5,s\n6,s\n"])
@pytest.mark.parametrize(("one", "other"), [("007", "7"), ("5", "+5"), ("٣", "3"), ("0", "-0")])
def test_a_number_that_names_classes_in_two_spellings_is_refused(read, one, other, more):
    """Whether or not another class is named by text."""
    message = f"column 'y' names classes by one number in two ways, '{one}' and '{other}'"
    with pytest.raises(DataError, match=re.escape(message)):
        read(f"a,y\n1,{one}\n2,{other}\n3,{one}\n4,{other}\n{more}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1,2,x\n1,n/a,z\n", "row 3, column 'b': 'n/a' is not a number"),
        ("a,b,y\n1,2,x\n\n ,2,z\n", "row 4, column 'a': a value is missing"),
        ("a,b,y\n1,nan,x\n1,2,z\n", "row 2, column 'b': 'nan' is not a number"),
        ("a,b,y\n1,inf,x\n1,2,z\n", "row 2, column 'b': 'inf' is not a number"),
        ("a,b,y\n1,1_000,x\n1,2,z\n", "row 2, column 'b': '1_000' is not a number"),
        ("a;y\n1,5;x\n1;z\n", "row 2, column 'a': '1,5' is not a number"),
        ("a,y\n1,x\n1,\n", "row 3, column 'y': '' is a missing value"),
        ("a,y\n1,1.5\n1,1e999\n", "row 3, column 'y': '1e999' is a missing value"),
        ("a,y\n1,1.5\n1,nan\n", "row 3, column 'y': 'nan' is a missing value"),
        ("a,b,y\n1,2,x\n1,2\n", "row 3 has 2 cells, but there are 3 columns"),
        ("1,2,3\n4,5,6\n", "row 1 must name the columns; column 1 is '1'"),
        ("a,,y\n4,5,6\n", "row 1 must name the columns; column 2 is ''"),
        ("a,a,y\n4,5,6\n", "two columns are called 'a'"),
        ("a,y\n", "no rows below the names of the columns"),
        ("", "needs a first row that names at least two columns"),
        ("a\n1\n", "needs a first row that names at least two columns"),
        ("a,y\n1,x\n2,x\n", "at least two classes are needed, found only 'x'"),
        ("a,y\n1,x\n2,x\n3,z\n", "class 'z' has 1 sample; a split needs at least 2"),
        ("a,y\n1,120\n2,340\n3,350\n", "3 different whole numbers in 3 samples would make as many"),
        ('a,y\n"1,x\n', "cannot be read as a table (unexpected end of data)"),
        (b"a,y\n\xff,x\n", "cannot be read as a table ('utf-8' codec"),
    ],
)
def test_what_is_wrong_is_named_with_file_row_and_column(read, tmp_path, text, message):
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'flowers.csv'}: {message}")):
        read(text)


def test_an_unknown_target_is_answered_with_the_nearest(read):
    with pytest.raises(DataError, match=r"no column 'hight'; did you mean 'height'\?"):
        read("height,y\n1,2.5\n3,4.5\n", target="hight")


# ----- several tasks -----

SCHOOLS = """school,hours,age,score
north,1,10,1
south,2,11,2.5
north,3,12,3
east,4,13,4
south,5,14,5.5
north,6,15,6
east,7,16,7
"""
"""A score is that of the hours, or half more in the south."""


def task_rows(data):
    """By task all samples with their targets, sorted, whichever part they are in."""
    return {
        task.name: sorted(
            (*x.tolist(), y)
            for xs, ys in ((task.train_x, task.train_y), (task.test_x, task.test_y))
            for x, y in zip(xs, ys.tolist(), strict=True)
        )
        for task in data.tasks
    }


def test_a_column_names_the_task_of_each_row(read):
    data = read(SCHOOLS, task="school")
    assert isinstance(data, TaskData)
    assert data.name == "flowers"
    assert data.features == ("hours", "age")
    assert task_rows(data) == {
        "east": [(4, 13, 4), (7, 16, 7)],
        "north": [(1, 10, 1), (3, 12, 3), (6, 15, 6)],
        "south": [(2, 11, 2.5), (5, 14, 5.5)],
    }
    # Half of the samples of each, rounded.
    assert [len(task.test_y) for task in data.tasks] == [1, 2, 1]
    assert data.form().tasks == ("east", "north", "south")


def test_where_the_rows_of_other_tasks_stand_decides_nothing(read):
    header, *lines = SCHOOLS.splitlines()
    together = "\n".join([header, *sorted(lines, key=lambda line: line.partition(",")[0])])
    one, other = (read(text, task="school").tasks for text in (SCHOOLS, together))
    for a, b in zip(one, other, strict=True):
        assert a.name == b.name
        for part in ("train_x", "train_y", "test_x", "test_y"):
            assert np.array_equal(getattr(a, part), getattr(b, part))


@pytest.mark.parametrize("target", [None, "score"])
def test_the_column_of_tasks_may_be_the_last(read, target):
    lines = [line.partition(",")[::2] for line in SCHOOLS.splitlines()]
    data = read(
        "\n".join(f"{rest},{school}" for school, rest in lines), task="school", target=target
    )
    assert data.features == ("hours", "age")
    assert task_rows(data) == task_rows(read(SCHOOLS, task="school"))


def test_another_column_is_predicted(read):
    data = read(SCHOOLS, task="school", target="hours")
    assert data.features == ("age", "score")
    assert task_rows(data)["east"] == [(13, 4, 4), (16, 7, 7)]


def test_whole_numbers_name_tasks_in_their_own_order(read):
    data = read("t;a;y\n10;1;2\n9;2;3\n10;3;4\n 9;4;5\n", task="t")
    assert [task.name for task in data.tasks] == ["9", "10"]
    assert task_rows(data) == {"9": [(2, 3), (4, 5)], "10": [(1, 2), (3, 4)]}


@pytest.mark.parametrize(
    "names",
    [
        ["007", "010", "-3"],
        ["9223372036854775807", "9223372036854775806", "-9223372036854775809", "1"],
        ["1000000000000000000000", "999999999999999999999", "8" * 400],
        ["+5", "٤", "3"],
    ],
    ids=["zeros in front", "64 bits", "more than 64 bits", "a sign, and other digits"],
)
def test_names_of_tasks_stay_as_they_are_written(read, names):
    text = "".join(f"{name},{i},{2 * i}\n" for i, name in enumerate(names))
    data = read(f"t,a,y\n{text}{text}", task="t")
    want = sorted(names, key=int)
    assert [task.name for task in data.tasks] == want
    for name, found in task_rows(data).items():
        i = names.index(name)
        assert found == [(i, 2 * i)] * 2


@pytest.mark.parametrize("more", ["", "s,5,6\ns,7,8\n"])
@pytest.mark.parametrize(("one", "other"), [("007", "7"), ("5", "+5"), ("٣", "3"), ("0", "-0")])
def test_a_number_in_two_spellings_is_refused(read, one, other, more):
    """Whether or not another task is named by text."""
    message = f"column 't' names tasks by one number in two ways, '{one}' and '{other}'"
    with pytest.raises(DataError, match=re.escape(message)):
        read(f"t,a,y\n{one},1,2\n{one},3,4\n{other},5,6\n{other},7,8\n{more}", task="t")


def test_names_of_tasks_that_end_in_nul(read):
    data = read("t,a,y\nn,1,2\nn\0,3,4\nn,1,2\nn\0,3,4\n", task="t")
    assert task_rows(data) == {"n": [(1, 2)] * 2, "n\0": [(3, 4)] * 2}


def test_tasks_of_a_file_have_options_of_tasks(read, tmp_path):
    data = read(SCHOOLS, task="school", samples_per_task=1)
    assert [len(task.train_y) for task in data.tasks] == [1, 1, 1]
    file = str(tmp_path / "flowers.csv")
    tasks, table = (DataSource(DataConfig(name=file, task=task)) for task in ("school", None))
    assert (tasks.kind, table.kind) == (TaskData, TableData)
    assert tasks.fingerprint != table.fingerprint
    with pytest.raises(ConfigError, match=r"data\.task: means nothing for 'iris' \(table\)"):
        DataSource(DataConfig(name="iris", task="species")).load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scool,a,y\nn,1,2\n", "no column 'school'; did you mean 'scool'?"),
        ("school,a,y\nn,1,2\n ,3,4\n", "row 3, column 'school': '' is a missing value"),
        ("school,a,y\n1,1,2\nnan,3,4\n", "row 3, column 'school': 'nan' is a missing value"),
        ("school,a,y\n1.5,1,2\n2,3,4\n", "column 'school' must name tasks by text or whole"),
        ("school,a,y\nn,1,2\nn,b,4\n", "row 3, column 'a': 'b' is not a number"),
        ("school,a,y\nn,1,2\nn,1,up\n", "row 3, column 'y': 'up' is not a number"),
        ("school,a,y\nn,1,2\nn,1,2\ns,1,2\n", "task 's' has 1 sample; a split needs at least 2"),
        ("school,y\nn,1\n", "no column besides 'school' and 'y' is a feature"),
    ],
)
def test_what_is_wrong_with_tasks_is_named_as_well(read, tmp_path, text, message):
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'flowers.csv'}: {message}")):
        read(text, task="school")


def test_what_names_tasks_is_not_predicted(read):
    with pytest.raises(DataError, match="'school' names the tasks and cannot be predicted"):
        read(SCHOOLS, task="school", target="school")
