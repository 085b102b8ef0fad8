"""What stands below the matrix as text: the totals, and panels with curves of the selected run, GPUs, queue and warnings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import islice

from msgspec import Struct
from textual.content import Content

from console.format import counted, number, percent, rough_duration, run_label, size
from console.glyphs import Glyphs
from console.runs.estimates import Estimate, cost_text, left_text
from console.runs.host_facts import Gpu, HostHistory
from console.runs.matrix import queue_places, short_text
from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot
from console.runs.staleness import FRESH, Staleness
from console.runs.warnings import all_warnings
from console.ui.runs.run_text import MARKS
from engine.contract.settings import RunId

_NAME_WIDTH = 8  # of what a line shows, such as "memory"
_VALUE_WIDTH = 22  # of its present value
_LABEL_WIDTH = 14
_MOST_POINTS = 4096  # of a curve, so that a long run costs no more than a short one
_MIB = 1024**2
_GAP = 2
_DAY_S = 86_400


def total_text(found: Estimate, now: float | None, stale: Staleness = FRESH) -> Content:
    """``total 6 of 15, about 41 min left, done by 02:14, 1.10 of about 2.30 EUR, 1.20 left``; only what is known.

    ``now`` is our Unix time in s; None: what is shown is of another time, so no time of day follows.
    """
    parts = [f"{found.finished} of {found.total}"]
    if found.active:
        parts.append(left_text(found))
        if found.seconds is not None and not found.at_least and not stale and now is not None:
            parts.append(f"done by {clock_text(now + found.seconds, now)}")
    if cost := cost_text(found):
        parts.append(cost)
    note = (f", {stale.note}", "$text-warning") if stale else ""
    return Content.assemble(("total ", "$foreground-muted"), ", ".join(parts), note)


def time_left_text(found: Estimate, stale: Staleness = FRESH) -> Content:
    """``about 41 min left``, for a screen without a line of totals; "" where nothing is active or known."""
    if not found.active or found.seconds is None:
        return Content("")
    text = left_text(found)
    return Content.styled(
        f"{text}, {stale.short}" if stale else text, "$text-warning" if stale else "$foreground-muted"
    )


def clock_text(at: float, now: float) -> str:
    """Local time of day of ``at``: ``02:14``; with the date where that is a day away or more: ``Sat 28 Nov 02:14``."""
    local = time.localtime(at)
    return time.strftime("%H:%M" if at - now < _DAY_S else "%a %d %b %H:%M", local)


class OverviewData(Struct, frozen=True):
    """What the panels are drawn from; ``now`` is our Unix time in s."""

    snapshot: Snapshot
    selected: RunId
    estimate: Estimate
    now: float
    glyphs: Glyphs


class Panel(Struct, frozen=True):
    """A part of the overview: ``lines`` gives its lines for a width and a height, of which it needs ``least``."""

    least: int
    wanted: int
    lines: Callable[[OverviewData, int, int], list[Content]]


def overview_lines(data: OverviewData, width: int, height: int) -> list[Content]:
    """All panels that ``width`` x ``height`` has room for: below each other, in two columns, or side by side."""
    curves, gpus = Panel(3, 3, _curves), Panel(4, 1 + 5 * max(1, _gpu_count(data.snapshot.host_history)), _gpus)
    queue, warnings = Panel(3, 1 + max(1, data.estimate.active), _queue), Panel(2, 6, _warnings)
    if width >= 170:
        columns: tuple[tuple[Panel, ...], ...] = ((curves, gpus), (queue,), (warnings,))
    elif width >= 90:
        columns = ((curves, gpus), (queue, warnings))
    else:
        columns = ((curves, queue, warnings, gpus),)
    inner = (width - _GAP * (len(columns) - 1)) // len(columns)
    drawn = [_column(data, panels, inner, height) for panels in columns]
    lines = []
    for row in range(max(map(len, drawn))):
        cells = [column[row] if row < len(column) else Content("") for column in drawn]
        fitted = [cell.truncate(inner, ellipsis=True, pad=True) for cell in cells]
        lines.append(Content(" " * _GAP).join(fitted))
    return lines


def _column(data: OverviewData, panels: Sequence[Panel], width: int, height: int) -> list[Content]:
    """The panels that fit with what they need, the first ones first; what is left goes to them in the same order."""
    heights: list[int] = []
    left = height
    for panel in panels:
        gap = bool(heights)
        heights.append(panel.least if left >= panel.least + gap else 0)
        left -= heights[-1] + (gap if heights[-1] else 0)
    for at, panel in enumerate(panels):
        more = min(max(0, left), panel.wanted - panel.least) if heights[at] else 0
        heights[at] += more
        left -= more
    lines: list[Content] = []
    for panel, of_panel in zip(panels, heights, strict=True):
        if of_panel:
            lines += [Content("")] if lines else []
            lines += panel.lines(data, width, of_panel)
    return lines[:height]


def _title(text: str) -> Content:
    return Content.styled(text, "bold $text-muted")


def _spark(
    name: str, values: Sequence[float], value: str, width: int, glyphs: Glyphs, most: float | None = None
) -> Content:
    """``use      ▁▃▇█▆  87%``; ``most``: the value of a full cell, above an empty one of 0; None: as ``sparkline``."""
    room = max(4, width - _NAME_WIDTH - _VALUE_WIDTH)
    drawn = sparkline(values, room, glyphs.levels, most)
    return Content.assemble(
        (name.ljust(_NAME_WIDTH), "$foreground-muted"), (drawn, "$text-accent"), (f"  {value}", "bold")
    )


def sparkline(values: Sequence[float], width: int, levels: str, most: float | None = None) -> str:
    """``values`` as a curve of at most ``width`` characters of ``levels``.

    These rise from 0 to ``most``, without it from the lowest to the highest value. Each cell shows the mean of its share
    of the values; ``!`` where none of them is finite.
    """
    columns = max(0, min(width, len(values)))
    shares = (values[at * len(values) // columns : (at + 1) * len(values) // columns] for at in range(columns))
    means = [_finite_mean(share) for share in shares]
    finite = [value for value in means if value is not None]
    low, high = (min(finite, default=0.0), max(finite, default=0.0)) if most is None else (0.0, most)

    def sign(value: float | None) -> str:
        if value is None:
            return "!"
        share = (value - low) / (high - low) if high > low else 0.5
        return levels[max(0, min(len(levels) - 1, int(share * len(levels))))]

    return "".join(map(sign, means))


def _finite_mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value) and abs(value) < 1e100]
    return sum(finite) / len(finite) if finite else None


def _curves(data: OverviewData, width: int, _height: int) -> list[Content]:
    view = data.snapshot.runs[data.selected]
    lines = [_title(f"{run_label(data.selected, _LABEL_WIDTH)}  loss and top-1 on development data")]
    if not view.losses:
        return [*lines, Content.styled("no steps yet", "$foreground-muted")]
    stride = 1
    while len(view.losses) > stride * _MOST_POINTS:
        stride *= 2
    losses = view.losses.points()[1][::stride]
    lines.append(_spark("loss", losses, number(view.losses.last_y), width, data.glyphs))
    scores = [one.top1 for one in view.measurements]
    if scores:
        lines.append(_spark("top-1", scores, percent(scores[-1]), width, data.glyphs))
    return lines


def _gpu_count(history: HostHistory) -> int:
    return len(history.samples[-1].gpus) if history.samples else 0


def _gpus(data: OverviewData, width: int, height: int) -> list[Content]:
    history = data.snapshot.host_history
    if not history.samples:
        has_host = data.snapshot.host.link not in ("local", "replay")
        text = "the host has not reported any yet" if has_host else "not recorded with the runs"
        return [_title("GPU"), Content.styled(text, "$foreground-muted")]
    last = history.samples[-1]
    period = rough_duration(last.at - history.samples[0].at)
    if not last.gpus:
        return [
            _title(f"Host without a GPU, last {period}"),
            _spark("load", [one.load for one in history.samples], f"{last.load:.1f}", width, data.glyphs),
            _spark(
                "memory", [one.memory for one in history.samples], f"{100 * last.memory:.0f}%", width, data.glyphs, 1
            ),
        ][:height]
    lines: list[Content] = []
    each = max(2, (height - 1) // len(last.gpus))
    for at, gpu in enumerate(last.gpus):
        name = f"GPU {at}: {gpu.name}" if len(last.gpus) > 1 else f"GPU: {gpu.name}"
        if bound := _bound_to(data, gpu):
            name += f", {bound}"
        lines += [_title(f"{name}, last {period}"), *_gpu_lines(data, at, width)][:each]
    users = _gpu_users(data)
    return [*lines[: height - 1], users] if users and height > 2 else lines[:height]


def _gpu_lines(data: OverviewData, at: int, width: int) -> list[Content]:
    """Use, memory, temperature and power of one GPU, as far as it reports them."""
    samples = data.snapshot.host_history.samples
    gpu = samples[-1].gpus[at]

    def line(name: str, value: Callable[[Gpu], float | None], text: str, most: float | None = None) -> Content | None:
        known = [found for one in samples if at < len(one.gpus) and (found := value(one.gpus[at])) is not None]
        return _spark(name, known, text, width, data.glyphs, most) if known and value(gpu) is not None else None

    used, total = gpu.memory_used, gpu.memory_total
    memory = size(used * _MIB) if used is not None else ""
    if total is not None:
        memory += f" of {size(total * _MIB)}"
    lines = (
        line("use", lambda one: one.utilization, f"{gpu.utilization}%", 100),
        line("memory", lambda one: one.memory_used, memory, total),
        line("temp.", lambda one: one.temperature, f"{gpu.temperature} °C"),
        line("power", lambda one: one.power, f"{gpu.power or 0:.0f} W"),
    )
    return [one for one in lines if one is not None]


def _bound_to(data: OverviewData, gpu: Gpu) -> str:
    """``A/42, B/1``: the running runs that have this GPU."""
    states = {view.run: view.state for view in data.snapshot.runs.values() if view.state_name == "running"}
    return ", ".join(run.label for run, one in states.items() if one and one.gpu and one.gpu.uuid == gpu.uuid)


def _gpu_users(data: OverviewData) -> Content | None:
    """``used by  ann A/42 11.8 GiB, bob python 150 MiB``; a process of a run of ours is named as the run."""
    processes = data.snapshot.host_history.gpu_processes
    if processes is None:
        return None
    if not processes:
        return Content.styled("used by nobody", "$foreground-muted")
    jobs = {view.state.job.pid: view.run for view in data.snapshot.runs.values() if view.state and view.state.job}
    parts = []
    for process in sorted(processes, key=lambda one: -(one.memory or 0)):
        run = jobs.get(process.session) or jobs.get(process.pid)
        name = run.label if run is not None else process.name.rpartition("/")[2][:20] or str(process.pid)
        memory = size(process.memory * _MIB) if process.memory is not None else ""
        parts.append(" ".join(filter(None, (process.user, name, memory))))
    return Content.assemble(("used by ", "$foreground-muted"), ", ".join(parts))


def _queue(data: OverviewData, _width: int, height: int) -> list[Content]:
    """Running runs, then the queue in its order, each with its expected end."""
    views, found = data.snapshot.runs, data.estimate
    places = queue_places(views.values())
    active = [view for view in views.values() if view.state_name == "running"]
    active += [views[run] for run in places]
    title = "Queue"
    if found.seconds is not None and found.active:
        title += f", {left_text(found)}"
    lines = [_title(title)]
    if not active:
        return [*lines, Content.styled("no run is queued or running", "$foreground-muted")]
    shown = height - 1 if len(active) <= height - 1 else height - 2
    lines += [_queue_line(data, view, places.get(view.run)) for view in islice(active, shown)]
    if len(active) > shown:
        last = found.finish_in.get(active[-1].run)
        end = f", the last ends about {clock_text(data.now + last, data.now)}" if last is not None else ""
        lines.append(Content.styled(f"and {counted(len(active) - shown, 'more run')}{end}", "$foreground-muted"))
    return lines


def _queue_line(data: OverviewData, view: RunView, place: int | None) -> Content:
    mark = MARKS[view.state_name]
    end = data.estimate.finish_in.get(view.run)
    text = f"ends about {clock_text(data.now + end, data.now)}" if end is not None else "end not known yet"
    state = f"{data.glyphs.state(view.state_name)} {short_text(view, place)}"
    return Content.assemble(
        (state.ljust(8), mark.style), run_label(view.run, _LABEL_WIDTH).ljust(_LABEL_WIDTH), (text, "$foreground-muted")
    )


def _warnings(data: OverviewData, _width: int, height: int) -> list[Content]:
    warnings = all_warnings(data.snapshot.runs.values())
    if not warnings:
        return [_title("Warnings"), Content.styled("none", "$foreground-muted")]
    lines = [_title(f"{counted(len(warnings), 'warning')}, ! lists all")]
    for one in warnings[: height - 1]:
        step = f" step {one.step:,}" if one.step else ""
        head = f"! {run_label(one.run, _LABEL_WIDTH)}{step}  "
        lines.append(Content.assemble((head, "$text-warning"), Content(one.message)))
    return lines
