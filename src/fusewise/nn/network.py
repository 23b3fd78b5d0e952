"""The network of the learned strategies: encode what is there, fuse it, decode.

Shapes: n samples, M modalities, j samples that have a modality, d width, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fusewise.nn.attention import QueryPool
from fusewise.nn.batch import Batch, Rows, Tokens
from fusewise.nn.events import EventEncoder
from fusewise.nn.given import GivenEncoder
from fusewise.nn.heads import ModalityHead, columns_of
from fusewise.nn.mechanisms import AttentionWeights, Hierarchical, Mechanism
from fusewise.nn.merge import Merge
from fusewise.nn.submodels import LastLinear, shown_to_all
from fusewise.nn.table import TableEncoder, WideTableEncoder

__all__ = ["FusionNetwork", "Output"]


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """What the network says.

    Parameters
    ----------
    main : tensor of shape (n, K) or (n, S, K)
        Logits, or a mean in regression, from all modalities of each sample; of each submodel
        where there are several.
    auxiliary : dict of str to (long tensor (j,), tensor (j, K) or (j, S, K))
        The same from one modality alone, with the samples that have it. Without the modalities
        that nobody has; empty for a network without auxiliary heads.
    weights : AttentionWeights or None
        Where they were asked for and the fusion has any.
    """

    main: Tensor
    auxiliary: dict[str, tuple[Tensor, Tensor]]
    weights: AttentionWeights | None


class FusionNetwork(nn.Module):
    """Encoders, one per modality, a fusion, and heads.

    An encoder sees only the samples that have its modality, and is not called where nobody does.

    Parameters
    ----------
    encoders : mapping of str to nn.Module
        By modality. Each has a `width`, the same for all, and returns `Tokens` for its rows.
        They are put in the order of their names, which is that of the columns of presence.
    fuse : Merge or Mechanism
        For the same modalities and width.
    n_outputs : int
        Number of outputs K: classes, or 1 for a number.
    auxiliary : bool
        Whether each modality has a head of its own, so that none is starved by a stronger one.
    hidden : int or None
        Width of the hidden layer of the main head; None takes twice the width of an embedding.
        A merge and hierarchical attention bring their own.
    dropout : float
    n_heads : int
        Heads of the pools that make one embedding of the tokens of a modality.
    n_submodels : int
        Number S of submodels. Encoders that were made for as many give each its own view; of the
        others all have the same.

    Raises
    ------
    ValueError
        Encoders of different widths, or a fusion made for something else.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fuse: Merge | Mechanism,
        n_outputs: int,
        *,
        auxiliary: bool = True,
        hidden: int | None = None,
        dropout: float = 0.1,
        n_heads: int = 4,
        n_submodels: int = 1,
    ) -> None:
        super().__init__()
        self.n_submodels = n_submodels
        self.names = tuple(sorted(encoders))
        self.width = _common_width(encoders)
        _check_fusion(fuse, self.names, self.width)
        # A list, since a modality may have a name that a module's attribute cannot have.
        self.encoder_list = nn.ModuleList(encoders[name] for name in self.names)
        single = {name for name, encoder in encoders.items() if _gives_one_token(encoder)}
        if isinstance(fuse, Hierarchical):
            fuse.expect_one_token(single)
        self.fuse = fuse
        pooled = isinstance(fuse, Merge) or auxiliary
        self.pools = nn.ModuleList(
            QueryPool(self.width, n_heads, dropout=dropout)
            if pooled and name not in single
            else nn.Identity()
            for name in self.names
        )
        self.heads = nn.ModuleList(
            ModalityHead(self.width, columns_of(encoder), n_outputs)
            for encoder in self.encoder_list
            if auxiliary
        )
        hidden = 2 * self.width if hidden is None else hidden
        enter: list[nn.Module] = [nn.Dropout(dropout), nn.Linear(fuse.out_width, hidden)]
        if isinstance(fuse, Merge | Hierarchical):
            # They end in a map of their own.
            hidden, enter = fuse.out_width, []
        last = (
            nn.Linear(hidden, n_outputs)
            if n_submodels == 1
            else LastLinear(hidden, n_outputs, n_submodels)
        )
        self.decode = nn.Sequential(*enter, nn.GELU(), nn.Dropout(dropout), last)

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """The encoders by modality."""
        return dict(zip(self.names, self.encoder_list, strict=True))

    def forward(self, batch: Batch, presence: Tensor, *, need_weights: bool = False) -> Output:
        """Predict from what is present.

        Parameters
        ----------
        batch : mapping of str to Rows
            Rows of n samples each; a modality may lack altogether.
        presence : bool tensor of shape (n, M)
            Modalities in the order of their names. Rows of an absent modality are not looked at;
            a modality without a row is absent.
        need_weights : bool
            Also return the attention weights, if the fusion has any.
        """
        present = {
            name: rows
            for m, name in enumerate(self.names)
            if (rows := self._rows(batch.get(name), presence[:, m])) is not None
        }
        tokens = {name: self._tokens(name, rows) for name, rows in present.items()}
        presence = presence.repeat_interleave(self.n_submodels, dim=0)
        embeddings = self._embeddings(tokens)
        weights = None
        if isinstance(self.fuse, Merge):
            none = self._nothing()
            own = [
                (tokens[name].sample, embeddings[name]) if name in tokens else none
                for name in self.names
            ]
            fused = self.fuse(own, len(presence))
        else:
            fused, weights = self.fuse(tokens, presence, need_weights=need_weights)
        auxiliary = {
            name: (present[name].sample, head(self._by_row(embeddings[name]), present[name]))
            for name, head in zip(self.names, self.heads, strict=False)
            if name in tokens
        }
        if weights is not None:
            weights = weights.mean_of(self.n_submodels)
        return Output(self.decode(fused), auxiliary, weights)

    def _tokens(self, name: str, rows: Rows) -> Tokens:
        """Return the tokens of what each submodel sees."""
        encoder = self.encoders[name]
        tokens: Tokens = encoder(rows)
        if getattr(encoder, "n_submodels", 1) == self.n_submodels:
            return tokens
        return shown_to_all(tokens, self.n_submodels)

    def _by_row(self, embedding: Tensor) -> Tensor:
        """Return (j, d), or (j, S, d) with several submodels."""
        return (
            embedding if self.n_submodels == 1 else embedding.unflatten(0, (-1, self.n_submodels))
        )

    def _rows(self, rows: Rows | None, present: Tensor) -> Rows | None:
        """Return the rows of those who have the modality; None where nobody does."""
        if rows is None:
            return None
        if not bool(present[rows.sample].all()):
            rows = rows.take(torch.arange(rows.n, device=present.device), present)
        return rows if rows.n_rows else None

    def _embeddings(self, tokens: Mapping[str, Tokens]) -> dict[str, Tensor]:
        """One vector (j, d) per sample and modality, where something is made of it."""
        embeddings = {}
        for name, pool in zip(self.names, self.pools, strict=True):
            if name in tokens:
                own = tokens[name]
                if isinstance(pool, QueryPool):
                    embeddings[name] = pool(own.values, own.valid)[0]
                else:
                    embeddings[name] = own.values[:, 0]
        return embeddings

    def _nothing(self) -> tuple[Tensor, Tensor]:
        """Return the embeddings of a modality that nobody has."""
        weight = next(self.decode.parameters())
        return weight.new_zeros(0, dtype=torch.long), weight.new_zeros(0, self.width)


def _gives_one_token(encoder: nn.Module) -> bool:
    """Whether it does so for every row of any batch, by its kind and not by what came."""
    if isinstance(encoder, EventEncoder):
        return encoder.tokens == "summary"
    return isinstance(encoder, TableEncoder | WideTableEncoder | GivenEncoder)


def _common_width(encoders: Mapping[str, nn.Module]) -> int:
    widths = {name: encoder.width for name, encoder in sorted(encoders.items())}
    if len(set(widths.values())) != 1:
        raise ValueError(
            f"the encoders must have one width in common to be fused; expected that, got {widths}"
        )
    width = next(iter(widths.values()))
    assert isinstance(width, int)
    return width


def _check_fusion(fuse: Merge | Mechanism, names: tuple[str, ...], width: int) -> None:
    if isinstance(fuse, Mechanism):
        fits = fuse.names == names and fuse.width == width
        made = f"{fuse.names} of width {fuse.width}"
    else:
        fits = fuse.n_modalities == len(names) and fuse.width == width
        made = f"{fuse.n_modalities} modalities of width {fuse.width}"
    if not fits:
        raise ValueError(
            f"{type(fuse).__name__} was made for {made}; the encoders are {names} of width {width}"
        )
