"""Tensors in, tensors out: ragged batches, encoders, fusions, the training loop."""

from fusewise.nn.batch import Batch, EventRows, PaddedEvents, Rows, TableRows, Tokens
from fusewise.nn.buckets import length_buckets
from fusewise.nn.embeddings import PiecewiseLinear, normal_edges
from fusewise.nn.events import EventEncoder
from fusewise.nn.given import GivenEncoder, load_weights
from fusewise.nn.table import TableEncoder, WideTableEncoder

__all__ = [
    "Batch",
    "EventEncoder",
    "EventRows",
    "GivenEncoder",
    "PaddedEvents",
    "PiecewiseLinear",
    "Rows",
    "TableEncoder",
    "TableRows",
    "Tokens",
    "WideTableEncoder",
    "length_buckets",
    "load_weights",
    "normal_edges",
]
