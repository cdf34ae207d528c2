"""In how many dimensions the activations of a layer vary: its effective dimensionality.

(sum of |eigenvalues|)^2 / sum of squared eigenvalues of the covariance matrix C of a layer's N
activations over n examples: between 1 and the smaller of N and n - 1, and 0 where nothing varies.
Eigenvalues of C are not negative, so that is trace(C)^2 / ||C||^2 in the Frobenius norm, and no
eigenvalue is needed. Nor is C: with the centered activations X, (n, N), C = X'X / n, and X X' / n
has the same trace and norm. The smaller of the two is computed block by block, as many blocks at a
time as memory allows, and each group of them is a pass over the examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from datasets.loader import EvalLoader
from datasets.sources import parts
from foundations.draws import generator
from foundations.errors import UserError
from training.setting import EVALUATION_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from datasets.data import Split
    from models.graph.flow import Site
    from training.measures.subject import Subject

MEMORY = 512 * 2**20
"""Bytes that blocks and activations may take together."""

_VALUE, _SUM = 4, 8
"""Bytes of a float32, which activations are, and of a float64, in which all is summed up."""


class Dimensions(NamedTuple):
    """Of the activations behind one site."""

    layer: str
    """The site."""
    dimensions: float
    """Effective dimensions."""
    features: int
    """How many activations an example has there."""


def effective_dimensions(
    subject: Subject, *, split: str = "test", examples: int | None = None, memory: int = MEMORY
) -> list[Dimensions]:
    """The effective dimensionality behind every activation and sum of a network, in its order.

    In evaluation mode, behind the gates of the mask; all in float64 but the network itself.

    Args:
        subject: The network at a state.
        split: On whose examples.
        examples: On how many of them, drawn by the run's seed; by default on all.
        memory: About how many bytes to take, whatever the sizes of layers, besides what the network
            needs for a few examples. Less memory takes more passes.

    Raises:
        UserError: The network cannot be traced; there is no such split, or not so many examples.
    """
    sites = list(subject.wiring.sites.values())
    if not sites:
        return []
    source = _Source(subject, _chosen(subject, split, examples), sites, memory // 4)
    means = source.means()
    sums = torch.zeros(len(sites), 2, dtype=torch.float64)
    for group in _grouped(source.blocks(memory // 2), memory // 2):
        places = sorted({place for place, _ in group})
        for start, place, x in source.centered(places, means):
            for block in (block for own, block in group if own == place):
                block.see(start, x)
        for place, block in group:
            sums[place] += torch.tensor(block.sums(), dtype=torch.float64)
    return [
        Dimensions(site.name, _ratio(*sums[place].tolist()), source.features[place])
        for place, site in enumerate(sites)
    ]


def _ratio(trace: float, squares: float) -> float:
    return trace**2 / squares if squares else 0.0


def _chosen(subject: Subject, split: str, examples: int | None) -> Split:
    """The examples; a part of them is drawn, because a split is sorted by its labels."""
    found: Split | None = getattr(subject.setting.data, split)
    if found is None:
        raise UserError(f"There is no {split} split: nothing was held out.")
    if examples is None:
        return found
    if examples > len(found):
        raise UserError(
            f"{examples:,} examples for the effective dimensions are not allowed: the {split} "
            f"split has {len(found):,}."
        )
    drawn = generator(subject.setting.order_seed, "examples for dimensions")
    return found.take(torch.randperm(len(found), generator=drawn)[:examples])


class _Source:
    """The activations of examples, computed again for each pass over them."""

    def __init__(
        self, subject: Subject, examples: Split, sites: Sequence[Site], memory: int
    ) -> None:
        self._subject, self._sites, self._split = subject, sites, examples
        _, first = next(self._passed(range(len(sites)), 1))
        self.features = [x.shape[1] for x in first]
        held = _VALUE * sum(self.features) + 2 * _SUM * max(self.features)
        self.batch = max(1, min(EVALUATION_BATCH, memory // held))

    def centered(
        self, places: Sequence[int], means: Sequence[Tensor]
    ) -> Iterator[tuple[int, int, Tensor]]:
        """The number of a batch's first example, the place of a site, (examples, features)."""
        for start, taken in self._passed(places, self.batch):
            for place, x in zip(places, taken, strict=True):
                yield start, place, _exact(x) - means[place]

    def means(self) -> list[Tensor]:
        """The mean activations behind each site, (features,)."""
        sums: list[Tensor] = []
        for _, taken in self._passed(range(len(self._sites)), self.batch):
            of_batch = [_exact(x).sum(0) for x in taken]
            sums = [a + b for a, b in zip(sums, of_batch, strict=True)] if sums else of_batch
        return [total / len(self._split) for total in sums]

    def blocks(self, memory: int) -> Iterator[tuple[int, _Block]]:
        """The parts of every site's smaller matrix, each with the place of the site."""
        examples = len(self._split)
        for place, features in enumerate(self.features):
            if features <= examples:
                rows = max(1, memory // (_SUM * features))
                for start in range(0, features, rows):
                    yield place, _OfFeatures(start, min(start + rows, features), features, examples)
            else:
                rows = max(1, memory // (_SUM * features) // self.batch) * self.batch
                for start in range(0, examples, rows):
                    yield place, _OfExamples(start, min(start + rows, examples), features, examples)

    def _passed(self, places: Sequence[int], batch: int) -> Iterator[tuple[int, list[Tensor]]]:
        """The number of each batch's first example, and the activations, (examples, features)."""
        subject, setting = self._subject, self._subject.setting
        network = subject.network([self._sites[place] for place in places])
        loader = EvalLoader(
            self._split,
            setting.data,
            batch_size=batch,
            device=setting.device,
            memory_format=subject.numerics.memory_format,
        )
        start = 0
        for images, labels in loader:
            with torch.no_grad():
                taken = subject.call(network, subject.weights, images)
            yield start, [x.flatten(1) for x in taken]
            start += len(labels)


class _Block(Protocol):
    """Some rows of a symmetric matrix, from the diagonal on."""

    size: int
    """Bytes."""

    def see(self, start: int, x: Tensor) -> None:
        """Take in the centered activations of a batch, (examples, features), in order."""

    def sums(self) -> tuple[float, float]:
        """Its shares of the trace, and of the squared norm, of the covariance matrix."""


class _OfFeatures:
    """Rows of C, (features, features), from its diagonal on."""

    def __init__(self, begin: int, end: int, features: int, examples: int) -> None:
        self.size = _SUM * (end - begin) * (features - begin)
        self._begin, self._end, self._examples = begin, end, examples
        self._sum: Tensor | None = None

    def see(self, start: int, x: Tensor) -> None:  # noqa: ARG002 - the sum has no order
        rows, columns = x[:, self._begin : self._end].T, x[:, self._begin :]
        self._sum = rows @ columns if self._sum is None else self._sum.addmm_(rows, columns)

    def sums(self) -> tuple[float, float]:
        if self._sum is None:
            return 0.0, 0.0
        own = self._end - self._begin
        matrix, self._sum = self._sum.div_(self._examples), None
        trace = float(matrix.diagonal().sum())
        norm, rest = matrix[:, :own].norm(), matrix[:, own:].norm()
        return trace, float(norm**2 + 2 * rest**2)


class _OfExamples:
    """Rows of X X' / n, (examples, examples), from its diagonal on; they begin with a batch."""

    def __init__(self, begin: int, end: int, features: int, examples: int) -> None:
        self.size = _SUM * (end - begin) * features
        self._begin, self._end, self._examples = begin, end, examples
        self._shape, self._trace, self._squares = (end - begin, features), 0.0, 0.0
        self._held: Tensor | None = None

    def see(self, start: int, x: Tensor) -> None:
        if start < self._begin:
            return
        if self._held is None:
            self._held = x.new_empty(self._shape)
        before = self._held[: min(start, self._end) - self._begin]
        self._squares += 2 * _squared_products(before, x)
        if start < self._end:
            self._held[start - self._begin :][: len(x)] = x
            self._trace += float(x.norm() ** 2)
            self._squares += _squared_products(x, x)

    def sums(self) -> tuple[float, float]:
        self._held = None
        return self._trace / self._examples, self._squares / self._examples**2


def _squared_products(a: Tensor, b: Tensor) -> float:
    """The sum of the squares of a B', for at most as many rows at once as a batch has."""
    return sum(float((a[rows] @ b.T).norm() ** 2) for rows in parts(len(a), EVALUATION_BATCH))


def _exact(x: Tensor) -> Tensor:
    """In float64; on the CPU where the device has none."""
    where = torch.device("cpu") if x.device.type == "mps" else x.device
    return x.to(where).to(torch.float64)


def _grouped(
    blocks: Iterable[tuple[int, _Block]], memory: int
) -> Iterator[list[tuple[int, _Block]]]:
    """The blocks, as many at a time as fit into the memory; at least one."""
    group: list[tuple[int, _Block]] = []
    for place, block in blocks:
        if group and sum(held.size for _, held in group) + block.size > memory:
            yield group
            group = []
        group.append((place, block))
    yield group
