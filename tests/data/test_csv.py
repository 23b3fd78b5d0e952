"""CSV files: what their reader takes for a word."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

import fusewise as fw
from fusewise.data import execute, open_table
from fusewise.exceptions import FusewiseWarning, TableNotFoundError


def test_a_number_spelt_as_a_word_stays_a_number(tmp_path):
    """A column of numbers with ``inf`` and ``NaN`` is numeric; infinities are counted."""
    (tmp_path / "lab.csv").write_text("id,x,w,c\n1,1.5,inf,red\n2,NaN,2,blue\n3,,3,\n")
    samples = pd.DataFrame({"id": [1, 2, 3], "y": [0, 1, 0]})
    ds = fw.MultimodalDataset({"lab": tmp_path / "lab.csv"}, samples=samples, id="id", target="y")
    frame = ds.features("lab")[1]
    np.testing.assert_array_equal(frame["w"], [np.nan, 2, 3])
    np.testing.assert_array_equal(frame["x"], [1.5, np.nan, np.nan])
    assert frame["c"].tolist() == ["red", "blue", None]
    assert ds.ingestion.loc["lab", "infinities"] == 1


GOOD = "id,x,p\n" + "".join(f"{i},{i * 1.5},a{i % 3}\n" for i in range(400))


def opened(folder, content, name="lab.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return execute(open_table(path, what="modality 'lab'"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD.replace("300,450.0,a0", "300,450.0,a0,1,2"), "line 302 has 5 fields, the header 3"),
        (GOOD.replace("300,450.0,a0", "300"), "line 302 has 1 field, the header 3"),
        (GOOD.replace("300,450.0,a0", '300,450.0,"a0'), "line 302 opens a quote .* never closed"),
        (GOOD + '400,1,"a\n', "line 402 opens a quote"),
        ("", r"is empty \(0 bytes\)"),
        (GOOD.replace("a2", "\xfc", 1).encode("latin-1"), r"line 4 is not UTF-8 \(byte 0xfc\)"),
        (GOOD.encode("utf-16"), "line 1 is not UTF-8"),
        ("a title\n\n" + GOOD, "line 3 has 3 fields, the header 1"),
    ],
    ids=["more", "fewer", "quote", "last quote", "empty", "Latin-1", "UTF-16", "title"],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path, content, message):
    """The message names the file, the line and the cause."""
    with pytest.raises(TableNotFoundError, match=rf"modality 'lab': .*lab\.csv'.*{message}"):
        opened(tmp_path, content)


def test_a_broken_compressed_file_is_refused_with_its_line(tmp_path):
    """Compression changes nothing."""
    content = gzip.compress((GOOD + "400,1\n").encode())
    with pytest.raises(TableNotFoundError, match="line 402 has 2 fields, the header 3"):
        opened(tmp_path, content, "lab.csv.gz")


@pytest.mark.parametrize(
    ("content", "column"),
    [
        ("id,x\n1,'a,b'\n2,'c'\n", ["a,b", "c"]),
        ('id,x\n1,"a\nb"\n2,c\n', ["a\nb", "c"]),
        ('id,x\n1,5" pipe\n2,c\n', ['5" pipe', "c"]),
        ("id;x (a,b,c)\n1;a\n2;b\n", ["a", "b"]),
        ("id,x\n1,a,\n2,b,\n", ["a", "b"]),
        ("\ufeffid\tx\r\n1\ta\r\n\r\n2\tb\r\n", ["a", "b"]),
        ("id,x\na,b\nc,d\n", ["b", "d"]),
        ("x\na\nb\n", ["a", "b"]),
    ],
)
def test_files_that_can_be_read_are_read(tmp_path, content, column):
    """Other quotes, delimiters and line ends are detected; the first line names the columns."""
    table = opened(tmp_path, content)
    assert table.column(table.num_columns - 1).to_pylist() == column


@pytest.mark.parametrize("header", ["", "Unnamed: 0", "__index_level_0__"])
def test_a_stored_index_is_no_feature(tmp_path, header):
    """The number of a row would leak its place; it is left out with a warning."""
    (tmp_path / "lab.csv").write_text(f"{header},id,t,x\n0,1,0,1.5\n1,2,0,2.5\n")
    samples = pd.DataFrame({"id": [1, 2]})
    for kind in ("table", "events"):
        modality = fw.Modality(tmp_path / "lab.csv", kind=kind, time="t")
        with pytest.warns(FusewiseWarning, match="'lab': '.*' looks like the stored index"):
            ds = fw.MultimodalDataset({"lab": modality}, samples=samples, id="id")
        assert {name.split(":")[0] for name in ds.feature_names("lab")} == {"x"}


def test_the_index_of_a_parquet_file_is_no_feature(tmp_path):
    """Pandas stores an index that was filtered or sorted as a column of its own."""
    pd.DataFrame({"id": [1, 2], "x": [1.5, 2.5]}, index=[7, 3]).to_parquet(tmp_path / "m.parquet")
    samples = pd.DataFrame({"id": [1, 2]})
    with pytest.warns(FusewiseWarning, match="'__index_level_0__' looks like the stored index"):
        ds = fw.MultimodalDataset({"m": tmp_path / "m.parquet"}, samples=samples, id="id")
    assert ds.feature_names("m") == ["x"]
