"""Tensors in, tensors out: ragged batches, encoders, fusions, the training loop."""

from fusewise.nn.batch import Batch, EventRows, PaddedEvents, Rows, TableRows, Tokens
from fusewise.nn.buckets import length_buckets

__all__ = [
    "Batch",
    "EventRows",
    "PaddedEvents",
    "Rows",
    "TableRows",
    "Tokens",
    "length_buckets",
]
