"""The history of a host: bounded, and honest about what is not reported."""

from __future__ import annotations

import itertools

from console.runs.host_facts import MAX_SAMPLES, RECENT, Gpu, GpuProcess, HostFacts, HostHistory


def facts(time: float = 0.0, gpus: tuple[Gpu, ...] = (), processes: tuple[GpuProcess, ...] | None = None) -> HostFacts:
    return HostFacts("box", "Linux", 8, 1.5, 64_000, 16_000, 1, 1, "3.11", "/w", gpus, "", processes, time)


def test_a_day_of_samples_stays_bounded_and_keeps_its_beginning_and_its_newest() -> None:
    history = HostHistory()
    for number in range(0, 86_400, 30):  # a day
        history = history.with_facts(facts(1e9 + number, (Gpu("X", 100, 50, number % 100, "5", 60, 200.0),)), number)
        assert len(history.samples) <= MAX_SAMPLES
    at = [sample.at for sample in history.samples]
    assert at == sorted(at) and at[-1] == 86_370
    assert at[-RECENT:] == list(range(86_400 - 30 * RECENT, 86_400, 30))  # the newest are not merged
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert max(gaps) < 86_400 / 50  # nor is a part of the day without any
    assert sum(sample.count for sample in history.samples) == 86_400 // 30
    assert all(sample.gpus[0].memory_used == 50 and sample.gpus[0].power == 200.0 for sample in history.samples)


def test_merged_samples_are_means_of_what_is_reported() -> None:
    history = HostHistory()
    for number in range(MAX_SAMPLES + 1):
        gpu = Gpu("X", 100, None, 20 if number % 2 else 80, "5", 60 if number % 2 else None, None)
        history = history.with_facts(facts(0.0, (gpu,)), number)
    assert len(history.samples) == MAX_SAMPLES
    assert history.samples[0].gpus == (Gpu("X", 100, None, 50, "5", 60, None),)
    assert (history.samples[0].at, history.samples[0].memory, history.samples[0].count) == (1, 0.75, 2)


def test_a_gpu_that_is_lost_meanwhile_does_not_mix_with_those_left() -> None:
    history = HostHistory()
    for number in range(MAX_SAMPLES + 1):
        gpus = (Gpu("X", 100, 7, 10, "5"), Gpu("Y", 100, 9, 90, "5"))
        history = history.with_facts(facts(0.0, gpus[number % 2 :]), number)
    assert history.samples[0].gpus == (Gpu("Y", 100, 9, 90, "5"),)


def test_who_uses_the_gpus_stays_as_it_was_last_known() -> None:
    process = GpuProcess(7, "python", 512, "ann")
    history = HostHistory().with_facts(facts(processes=(process,)), 10.0).with_facts(facts(), 15.0)
    assert history.gpu_processes == (process,) and history.processes_at == 10.0
    assert history.with_facts(facts(processes=()), 20.0).gpu_processes == ()


def test_the_time_of_the_host_goes_on_by_our_clock() -> None:
    assert HostHistory().host_time(3.0) is None
    assert HostHistory().with_facts(facts(), 1.0).host_time(3.0) is None  # a host that does not tell it
    history = HostHistory().with_facts(facts(1000.0), 1.0).with_facts(facts(900.0), 6.0)  # its clock was set back
    assert history.host_time(8.0) == 902.0
