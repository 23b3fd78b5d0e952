"""The head of one modality: what it says alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fusewise.nn.batch import EventRows, Rows

# Adam moves every weight alike, so more columns must weigh less each to move the output alike.
_COLUMNS = 200


class ModalityHead(nn.Module):
    """A linear model of a modality's columns, and of its embedding on top.

    Both start at zero, so that early stopping shrinks them as a ridge penalty would (Ali et al.,
    AISTATS 2019): with few samples and many columns that is hard to beat.

    Parameters
    ----------
    width : int
        Width d of the embedding.
    n_columns : int
        Columns p of the table, or of the summary of the events; 0 for none.
    n_outputs : int
        Number of outputs K.
    """

    def __init__(self, width: int, n_columns: int, n_outputs: int) -> None:
        super().__init__()
        self.n_columns = n_columns
        self.embedded = nn.Linear(width, n_outputs)
        self.straight = nn.Linear(2 * n_columns, n_outputs, bias=False) if n_columns else None
        for part in (self.embedded, self.straight):
            if part is not None:
                nn.init.zeros_(part.weight)
        nn.init.zeros_(self.embedded.bias)

    def forward(self, embedding: Tensor, rows: Rows) -> Tensor:
        """Return logits, or a mean in regression, from embeddings.

        (k, K) from (k, d), or (k, S, K) from what S submodels made of the rows (k, S, d).
        """
        said: Tensor = self.embedded(embedding)
        table = rows.summary if isinstance(rows, EventRows) else rows
        if self.straight is None or table is None:
            return said
        values = table.values.to(embedding.dtype).masked_fill(table.missing, 0)
        columns = torch.cat([values, table.missing.to(embedding.dtype)], dim=1)
        scale = min(1.0, _COLUMNS / (2 * self.n_columns))
        straight = self.straight(columns * scale)
        return said + (straight if said.ndim == 2 else straight[:, None])


def columns_of(encoder: nn.Module) -> int:
    """Return the columns that an encoder reads as a table."""
    found = getattr(encoder, "n_summary", getattr(encoder, "n_columns", 0))
    return int(found)
