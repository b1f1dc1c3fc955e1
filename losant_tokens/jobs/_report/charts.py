"""Draw the rate of a job over time as SVG, for the HTML page of a report."""

from collections.abc import Callable, Iterable, Sequence
from html import escape

from attrs import frozen

from losant_tokens.jobs._types import PaceSample

_WIDTH, _HEIGHT = 1000.0, 100.0
_TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
_MAX_TICKS = 6


@frozen
class _Panel:
    """One of the charts. They share a time axis."""

    name: str
    value: Callable[[PaceSample], float]
    height: int
    as_bars: bool = False


_PANELS = (
    _Panel("Requests per second", lambda sample: sample.per_second, 150),
    _Panel("Concurrency", lambda sample: sample.concurrency, 84),
    _Panel("429 responses", lambda sample: sample.refused, 60, as_bars=True),
)


def draw_charts(pace: Sequence[PaceSample]) -> str:
    """Return the charts as HTML."""
    if len(pace) < 2 or pace[-1].at <= 0:  # noqa: PLR2004 -- a line has two points
        return '<div class="charts none">The run was too short for a chart.</div>'
    end = pace[-1].at
    panels = "".join(_panel(panel, pace, end) for panel in _PANELS)
    times = "".join(
        f'<span style="left:{at / end:.2%}">{format_tick(at)}</span>' for at in ticks(end)
    )
    return f'<div class="charts">{panels}<div class="times" aria-hidden="true">{times}</div></div>'


def ticks(end: float) -> Iterable[float]:
    """Return round times for the time axis, none of them close to its end."""
    step = next((step for step in _TICK_STEPS if end / step <= _MAX_TICKS), end / _MAX_TICKS)
    at = 0.0
    while at <= end * 0.96:
        yield at
        at += step


def format_duration(seconds: float) -> str:
    """Return a duration with its units: `4.2 s`, `3 min 05 s` or `2 h 10 min`."""
    if seconds < 60:  # noqa: PLR2004 -- a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def format_tick(seconds: float) -> str:
    """Return a time on the time axis with its unit."""
    if seconds < 60:  # noqa: PLR2004 -- a minute
        return f"{seconds:g} s"
    if seconds >= 3600:  # noqa: PLR2004 -- an hour
        return f"{seconds / 3600:.3g} h"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _panel(panel: _Panel, pace: Sequence[PaceSample], end: float) -> str:
    values = [panel.value(sample) for sample in pace]
    maximum = max(values)
    top = maximum or 1.0
    points = [
        (sample.at / end * _WIDTH, _HEIGHT - value / top * _HEIGHT)
        for sample, value in zip(pace, values, strict=True)
    ]
    shape = _bars(points) if panel.as_bars else _line(points)
    total = f"{sum(values):,.0f} in total" if panel.as_bars else f"up to {maximum:,.0f}"
    return (
        f'<figure class="panel"><figcaption><span>{escape(panel.name)}</span>'
        f'<output>{total}</output></figcaption><div class="plot" style="--h:{panel.height}px">'
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(panel.name)} over {format_duration(end)}: {total}">'
        f'<path class="grid" d="M0 0H{_WIDTH:g}M0 50H{_WIDTH:g}M0 100H{_WIDTH:g}"/>{shape}</svg>'
        f'<i class="cursor" hidden></i></div></figure>'
    )


def _line(points: Sequence[tuple[float, float]]) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    first, last = points[0][0], points[-1][0]
    return (
        f'<path class="area" d="M{first:.1f} {_HEIGHT:g}L{path}L{last:.1f} {_HEIGHT:g}Z"/>'
        f'<path class="trace" d="M{path}"/>'
    )


def _bars(points: Sequence[tuple[float, float]]) -> str:
    width = max(2.0, _WIDTH / len(points) * 0.6)
    bars = "".join(
        f"M{min(x, _WIDTH - width):.1f} {_HEIGHT:g}V{y:.1f}h{width:.1f}V{_HEIGHT:g}Z"
        for x, y in points
        if y < _HEIGHT
    )
    return f'<path class="bars" d="{bars}"/>'
