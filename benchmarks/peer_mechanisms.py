"""The mechanisms of hushtally, pure-ldp and multi-freq-ldpy behind one interface, all with raw estimates.

The peers run as they are shipped. pure-ldp returns raw estimates. multi-freq-ldpy clips its estimates and scales them
to sum to 1; the benchmark replaces its function `MI` by the same formula without this step. Its SHE clips inside the
aggregator, so the benchmark computes that sum itself.

Left out: sketches and Bloom filters (CMS, HCMS, count sketch, RAPPORServer), which randomize bits as SUE does and add
collisions; and ADP, which is the better one of GRR and OUE.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from random import Random
from time import perf_counter
from typing import Any

import numpy as np

from hushtally.aggregator.support import support_counts
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Mechanism, choose
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness, SystemRandomness

PEERS = {"pure-ldp": "pure_ldp", "multi-freq-ldpy": "multi_freq_ldpy"}
MANY = 100_000  # reports over which the fixed cost of one estimation is spread
HASHING = ("BLH", "OLH")
HEURISTIC = "FLH"  # uses a fixed pool of hash functions, which makes it fast and biased
POOL = 1000  # hash functions, as in pure-ldp's own experiments

Array = Any


class Seeded(Randomness):
    """Reproducible randomness for the error figures; the timings use the system's randomness."""

    def __init__(self, seed: int) -> None:
        self._word = Random(seed).getrandbits

    def word(self) -> int:
        return self._word(64)


class Contestant(ABC):
    """One mechanism of one package, for d values and one epsilon. The first value is 0."""

    package: str
    name: str
    d: int

    @abstractmethod
    def privatise(self, value: int) -> Any:
        """A randomized report for `value`."""

    @abstractmethod
    def shares(self, reports: Sequence[Any]) -> Array:
        """The raw estimates of all d shares."""

    def exact(self, truth: Array, n: int) -> float | None:
        """n times the expected mean squared error if `truth` are the shares of n respondents."""
        channel = self.channel()
        return float(channel.respondents_variance(1 / self.d, 1)) if channel else None

    def channel(self) -> Channel | None:
        """p and q as shipped, if these two numbers describe the mechanism."""
        return None

    def client_seconds(self, values: Sequence[int]) -> float:
        """Seconds per report on the client."""
        begin = perf_counter()
        for value in values:
            self.privatise(value)
        return (perf_counter() - begin) / len(values)

    def server_seconds(self, reports: Sequence[Any]) -> float:
        """Seconds per report on the server, for MANY reports."""
        begin = perf_counter()
        self.shares(reports)
        return (perf_counter() - begin) / len(reports)


class Ours(Contestant):
    package, name = "hushtally", "auto"

    def __init__(self, epsilon: float, d: int, seed: int) -> None:
        self.d = d
        self.mechanism: Mechanism = choose(d, epsilon)
        self.name = self.mechanism.label
        self.randomness: Randomness = Seeded(seed)

    def privatise(self, value: int) -> int:
        return self.mechanism.perturb(value, self.randomness)

    def shares(self, reports: Sequence[int]) -> Array:
        tally = Tally.of(reports)
        return self.mechanism.channel.debias(support_counts(self.mechanism, tally), tally.n)

    def channel(self) -> Channel:
        return self.mechanism.channel

    def client_seconds(self, values: Sequence[int]) -> float:
        seeded, self.randomness = self.randomness, SystemRandomness()
        try:
            return super().client_seconds(values)
        finally:
            self.randomness = seeded


class PureLdp(Contestant):
    package = "pure-ldp"

    def __init__(self, name: str, d: int, client: Any, server: Any, channel: Channel | None) -> None:
        self.name, self.d, self.client, self.server, self._channel = name, d, client, server, channel

    def privatise(self, value: int) -> Any:
        return self.client.privatise(value + 1)

    def shares(self, reports: Sequence[Any]) -> Array:
        self._count(reports)
        return self._estimate() / len(reports)

    def channel(self) -> Channel | None:
        return self._channel

    def server_seconds(self, reports: Sequence[Any]) -> float:
        begin = perf_counter()
        self._count(reports)
        counted = perf_counter()
        self._estimate()
        return (counted - begin) / len(reports) + (perf_counter() - counted) / MANY

    def _count(self, reports: Sequence[Any]) -> None:
        self.server.reset()
        self.server.aggregate_all(reports)

    def _estimate(self) -> Array:
        return self.server.estimate_all(range(1, self.d + 1), suppress_warnings=True, normalization=0)


class SummationHistogram(PureLdp):
    """Adds Laplace noise of scale 2 / epsilon to every count."""

    def exact(self, truth: Array, n: int) -> float:
        return 8 / float(self.server.epsilon) ** 2


class HadamardMechanism(PureLdp):
    """Sends t random Hadamard coefficients of the value: the true signs, or another pattern of t signs."""

    def exact(self, truth: Array, n: int) -> float:
        t, gain = self.server.t, 2 * self.server.p - 1
        of_others = 1 / (t * gain**2)
        of_truth = (1 + (t - 1) * gain) / (t * gain**2) - 1
        return float((of_truth + (self.d - 1) * of_others) / self.d)


class HadamardResponse(PureLdp):
    """Uses blocks above epsilon 1; the noise of an estimate then depends on the shares of the same block."""

    def exact(self, truth: Array, n: int) -> float | None:
        if self.server.epsilon <= 1:
            return super().exact(truth, n)
        hr = self.server.hr
        e, total = hr.exp, 2 * hr.part - 1 + hr.exp
        block = hr.permute // (hr.partsz - 1)
        same = block[:, None] == block[None, :]
        seen = np.where(
            same, (e + 1) / total, 2 / total
        )  # [value, truth]: chance that the report is in the value's block
        variance = seen - np.diag(np.full(self.d, ((e - 1) / total) ** 2))
        return float((variance @ truth).mean() * (total / (e - 1)) ** 2)


class FastHashing(PureLdp):
    """OLH with a shared pool of POOL hash functions: their collisions bias the estimate."""

    def exact(self, truth: Array, n: int) -> float:
        p, g, hashes = self.server.p, self.server.g, self.server.hash_matrix.astype(int)
        collide = sum((hashes == a).astype(np.float32).T @ (hashes == a).astype(np.float32) for a in range(g)) / POOL
        other = (1 - p) / (g - 1)
        support = other + (p - other) * collide.astype(float)  # [value, truth]
        gain = p - 1 / g
        bias = (support @ truth - 1 / g) / gain - truth
        return float(((support * (1 - support)) @ truth / gain**2 + n * bias**2).mean())

    def _count(self, reports: Sequence[Any]) -> None:
        self.server.hash_counts[:] = 0  # its own reset does not clear these counts
        super()._count(reports)

    def server_seconds(self, reports: Sequence[Any]) -> float:
        return super().server_seconds(reports) + self.build_seconds / MANY

    build_seconds = 0.0


class MultiFreq(Contestant):
    package = "multi-freq-ldpy"

    def __init__(self, name: str, d: int, module: Any, client: Callable[[int], Any], aggregate: Callable[[Any], Any]):
        self.name, self.d, self.module, self.privatise_, self.aggregate = name, d, module, client, aggregate
        self.seen: tuple[float, float] | None = None

    def privatise(self, value: int) -> Any:
        return self.privatise_(value)

    def shares(self, reports: Sequence[Any]) -> Array:
        shipped, self.module.MI = self.module.MI, self._raw
        try:
            return self.aggregate(reports)
        finally:
            self.module.MI = shipped

    def channel(self) -> Channel:
        if self.seen is None:
            self.shares([self.privatise(0)])
        assert self.seen is not None
        return Channel(float(self.seen[0]), float(self.seen[1]))

    def _raw(self, counts: Array, n: int, p: float, q: float) -> Array:
        self.seen = p, q
        return (counts - n * q) / (n * (p - q))


class MultiFreqSum(MultiFreq):
    """SHE of multi-freq-ldpy: the variance is 8 / epsilon^2, and the benchmark computes the sum."""

    def __init__(self, name: str, d: int, epsilon: float, module: Any, client: Callable[[int], Any]) -> None:
        super().__init__(name, d, module, client, lambda reports: sum(reports) / len(reports))
        self.epsilon = epsilon

    def exact(self, truth: Array, n: int) -> float:
        return 8 / self.epsilon**2


def contestants(epsilon: float, d: int, seed: int) -> Iterator[Contestant]:
    """hushtally first, then every mechanism of the peers."""
    seed_everything(seed)
    yield Ours(epsilon, d, seed)
    yield from _pure_ldp(epsilon, d)
    yield from _multi_freq(epsilon, d)


def _pure_ldp(epsilon: float, d: int) -> Iterator[Contestant]:
    oracles = import_module("pure_ldp.frequency_oracles")

    def pure(name: str, client: Any, server: Any, q: float | None = None) -> PureLdp:
        return PureLdp(name, d, client, server, Channel(float(server.p), float(server.q if q is None else q)))

    yield pure("GRR", oracles.DEClient(epsilon, d), oracles.DEServer(epsilon, d))
    for name, oue in (("SUE", False), ("OUE", True)):
        yield pure(name, oracles.UEClient(epsilon, d, use_oue=oue), oracles.UEServer(epsilon, d, use_oue=oue))
    yield SummationHistogram("SHE", d, oracles.HEClient(epsilon, d), oracles.HEServer(epsilon, d), None)
    yield pure("THE", oracles.HEClient(epsilon, d), oracles.HEServer(epsilon, d, use_the=True))
    for name, olh in zip(HASHING, (False, True), strict=True):
        server = oracles.LHServer(epsilon, d, use_olh=olh)
        client = oracles.LHClient(epsilon, d, use_olh=olh)
        yield pure(name, client, server, 1 / server.g)
    server = oracles.HadamardResponseServer(epsilon, d)
    client = oracles.HadamardResponseClient(epsilon, d, server.get_hash_funcs())
    e = np.exp(epsilon)
    yield HadamardResponse("HR", d, client, server, Channel(e / (e + 1), 0.5))
    client = oracles.HadamardMechClient(epsilon, d, 1, use_optimal_t=True)
    server = oracles.HadamardMechServer(epsilon, d, 1, use_optimal_t=True)
    yield HadamardMechanism("HM", d, client, server, None)
    if epsilon == 1:  # its pool is slow to build, so it runs at one epsilon only
        begin = perf_counter()
        server = oracles.FastLHServer(epsilon, d, POOL, use_olh=True)
        heuristic = FastHashing(HEURISTIC, d, oracles.FastLHClient(epsilon, d, POOL, use_olh=True), server, None)
        heuristic.build_seconds = perf_counter() - begin
        yield heuristic


def _multi_freq(epsilon: float, d: int) -> Iterator[Contestant]:
    grr, ue, he, lh, ss = (
        import_module(f"multi_freq_ldpy.pure_frequency_oracles.{name}") for name in ("GRR", "UE", "HE", "LH", "SS")
    )

    def one(name: str, module: Any, kind: str, *options: bool, domain: bool = True) -> MultiFreq:
        client, aggregate = getattr(module, f"{kind}_Client"), getattr(module, f"{kind}_Aggregator_MI")
        of_domain = (d,) if domain else ()
        at_client = () if kind == "HE" else options
        return MultiFreq(
            name,
            d,
            module,
            lambda value: client(value, d, epsilon, *at_client),
            lambda reports: aggregate(reports, *of_domain, epsilon, *options),
        )

    yield one("GRR", grr, "GRR")
    yield one("SUE", ue, "UE", False, domain=False)
    yield one("OUE", ue, "UE", True, domain=False)
    yield MultiFreqSum("SHE", d, epsilon, he, lambda value: he.HE_Client(value, d, epsilon))
    yield one("THE", he, "HE", True)
    for name, optimal in zip(HASHING, (False, True), strict=True):
        yield one(name, lh, "LH", optimal)
    yield one("SS", ss, "SS")


def seed_everything(seed: int) -> None:
    """Seeds the three global generators that the peers use: those of Python, of numpy, and of numba."""
    random.seed(seed)
    np.random.seed(seed)
    import_module("numba").njit(lambda number: np.random.seed(number))(seed + 1_000_000)


def true_value_first(contestant: Contestant, values: Sequence[int], reports: Sequence[Any]) -> float | None:
    """The share of the reports containing the true value that list it first; None if reports are not sets.

    The share should be 1 / (size of the set). A report that always lists the true value first keeps no epsilon.
    """
    if contestant.name != "SS" or len(reports[0]) < 2:
        return None
    first = [report[0] == value for value, report in zip(values, reports, strict=True) if value in report]
    return sum(first) / len(first)
