"""Facts of a host as its agent reports them, and their bounded history while a console is connected."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

MAX_SAMPLES = 1024
RECENT = 512  # never merged: with facts every 5 s, the last 40 minutes


class Gpu(Struct, frozen=True):
    """A GPU as nvidia-smi reports it; None where it reports N/A.

    Memory in MiB, utilization in percent, temperature in degrees Celsius, power in W. ``uuid`` as in a run's state.
    """

    name: str
    memory_total: int | None
    memory_used: int | None
    utilization: int | None
    driver: str
    temperature: int | None = None
    power: float | None = None
    uuid: str = ""


class GpuProcess(Struct, frozen=True):
    """A process on a GPU: ``user`` is "" where the host does not say, ``memory`` in MiB.

    ``session`` is the id of its session, which is the pid of a run's job for every process of that run; 0: not known.
    """

    pid: int
    name: str
    memory: int | None
    user: str = ""
    session: int = 0


class HostFacts(Struct, frozen=True):
    """The host as its agent reports it. Sizes in bytes, ``load`` is the one-minute load average.

    ``time`` is the host's Unix time in s; ``gpu_processes`` is None where it was not asked for or gives no answer.
    ``notify_problem``: to which services the last notification was not sent, and why.
    """

    hostname: str
    system: str
    cpus: int
    load: float
    memory_total: int
    memory_available: int
    disk_total: int
    disk_free: int
    python: str
    workspace: str
    gpus: tuple[Gpu, ...] = ()
    gpu_note: str = ""
    gpu_processes: tuple[GpuProcess, ...] | None = None
    time: float = 0.0
    notify_problem: str = ""


class HostSample(Struct, frozen=True):
    """Load, memory and GPU use of a host at one moment, or their mean over several replies.

    Attributes:
        at: ``time.monotonic()`` of the reply; of the last one of several.
        time: the host's Unix time in s, by which its events are dated as well; 0.0: not known.
        load: one-minute load average; ``memory`` the used share, 0 to 1.
        gpus: as many as the host has; their numbers are None where it reports N/A.
        count: of the facts that it is the mean of.
    """

    at: float
    time: float
    load: float
    memory: float
    gpus: tuple[Gpu, ...] = ()
    count: int = 1


class HostHistory(Struct, frozen=True):
    """Samples of a host in the order of their arrival; the older, the coarser, so that their number stays bounded.

    Attributes:
        gpu_processes: on its GPUs as of ``processes_at``, by ``time.monotonic()``; None: not known.
    """

    samples: tuple[HostSample, ...] = ()
    gpu_processes: tuple[GpuProcess, ...] | None = None
    processes_at: float = 0.0

    def with_facts(self, facts: HostFacts, at: float) -> HostHistory:
        """The history with ``facts``, which arrived ``at``."""
        used = 1 - facts.memory_available / facts.memory_total if facts.memory_total > 0 else 0.0
        samples = (*self.samples, HostSample(at, facts.time, facts.load, used, facts.gpus))
        if len(samples) > MAX_SAMPLES:
            # of the older ones the two that lie closest for their age, so that a day is thinned out evenly on a log scale
            old = range(1, MAX_SAMPLES - RECENT)
            first = min(old, key=lambda i: (samples[i].at - samples[i - 1].at) / max(1.0, at - samples[i].at))
            samples = (*samples[: first - 1], _mean(samples[first - 1], samples[first]), *samples[first + 1 :])
        if facts.gpu_processes is None:
            return replace(self, samples=samples)
        return HostHistory(samples, facts.gpu_processes, at)

    def host_time(self, now: float) -> float | None:
        """The host's Unix time at ``now`` by ``time.monotonic()``; None before it reported any."""
        last = self.samples[-1] if self.samples else None
        return last.time + now - last.at if last is not None and last.time > 0 else None


def _mean(one: HostSample, two: HostSample) -> HostSample:
    counts = (one.count, two.count)
    gpus = two.gpus
    if len(one.gpus) == len(two.gpus):
        gpus = tuple(_mean_gpu(*pair, counts) for pair in zip(one.gpus, two.gpus, strict=True))
    load = _weighted((one.load, two.load), counts)
    memory = _weighted((one.memory, two.memory), counts)
    return HostSample(two.at, two.time, load, memory, gpus, sum(counts))


def _mean_gpu(one: Gpu, two: Gpu, counts: tuple[int, int]) -> Gpu:
    def mean(*values: float | None) -> float | None:
        known = [(value, count) for value, count in zip(values, counts, strict=True) if value is not None]
        return _weighted(*zip(*known, strict=True)) if known else None

    def whole(*values: int | None) -> int | None:
        found = mean(*values)
        return None if found is None else round(found)

    return replace(
        two,
        memory_used=whole(one.memory_used, two.memory_used),
        utilization=whole(one.utilization, two.utilization),
        temperature=whole(one.temperature, two.temperature),
        power=mean(one.power, two.power),
    )


def _weighted(values: Sequence[float], counts: Sequence[int]) -> float:
    """Mean of ``values`` of ``counts`` facts each; not from statistics, which would delay the console's first paint."""
    return sum(value * count for value, count in zip(values, counts, strict=True)) / sum(counts)
