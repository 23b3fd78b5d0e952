"""Tensors in, tensors out: ragged batches, encoders, fusions, the training loop."""

from fusewise.nn.attention import FeedForward, MultiHeadAttention, QueryPool, TransformerLayer
from fusewise.nn.average import WeightAverage
from fusewise.nn.batch import Batch, EventRows, PaddedEvents, Rows, TableRows, Tokens
from fusewise.nn.buckets import length_buckets
from fusewise.nn.distributed import Processes, join_processes
from fusewise.nn.embeddings import PiecewiseLinear, normal_edges
from fusewise.nn.events import EventEncoder
from fusewise.nn.given import GivenEncoder, load_weights
from fusewise.nn.losses import READOUTS, readouts, sample_losses
from fusewise.nn.mechanisms import (
    MECHANISMS,
    AttentionWeights,
    CrossModal,
    Hierarchical,
    Mechanism,
    Temporal,
)
from fusewise.nn.merge import MERGES, Concatenation, GatedSum, MeanOverPresent, Merge
from fusewise.nn.network import FusionNetwork, Output
from fusewise.nn.settings import Check, Draw, Settings, Trained
from fusewise.nn.table import TableEncoder, WideTableEncoder
from fusewise.nn.train import train

__all__ = [
    "MECHANISMS",
    "MERGES",
    "READOUTS",
    "AttentionWeights",
    "Batch",
    "Check",
    "Concatenation",
    "CrossModal",
    "Draw",
    "EventEncoder",
    "EventRows",
    "FeedForward",
    "FusionNetwork",
    "GatedSum",
    "GivenEncoder",
    "Hierarchical",
    "MeanOverPresent",
    "Mechanism",
    "Merge",
    "MultiHeadAttention",
    "Output",
    "PaddedEvents",
    "PiecewiseLinear",
    "Processes",
    "QueryPool",
    "Rows",
    "Settings",
    "TableEncoder",
    "TableRows",
    "Temporal",
    "Tokens",
    "Trained",
    "TransformerLayer",
    "WeightAverage",
    "WideTableEncoder",
    "join_processes",
    "length_buckets",
    "load_weights",
    "normal_edges",
    "readouts",
    "sample_losses",
    "train",
]
