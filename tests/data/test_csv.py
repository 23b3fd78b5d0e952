"""CSV files: what their reader takes for a word."""

from __future__ import annotations

import numpy as np
import pandas as pd

import fusewise as fw


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
