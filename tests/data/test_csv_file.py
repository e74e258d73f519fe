import re

import numpy as np
import pytest

from lelkern.data import DataConfig, DataError, DataSource, TableData


@pytest.fixture
def read(tmp_path):
    """Writes text to a file and reads it as a study would."""

    def write_and_read(text, **options) -> TableData:
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
