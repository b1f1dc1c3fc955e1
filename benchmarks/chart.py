"""Draw throughput and CPU over concurrency as an SVG, without a plotting library."""

import math
import statistics
from collections.abc import Sequence
from html import escape

import attrs
from measuring import Contender, Figures, Run, all_of
from rows import AIOHTTP, CONCURRENCIES, DEFAULT, FAST, HTTPX, NODE, PYTHON

_WIDTH, _HEIGHT = 960, 500
_TOP, _BOTTOM = 130, 430  # of the panels
_PANEL_WIDTH = 380
_STEPS = 5  # maximum number of lines across a panel

_ALT = "Throughput and CPU of clients, over the number of requests in flight"
_NOTE = (
    "Medians, against a compiled server on the same machine. Absolute figures depend on the "
    "machine; ratios hardly do."
)

Point = tuple[float, float]

# The chart has a background of its own, because the colour of the page is unknown.
_STYLE = """
.card { fill: #ffffff; stroke: #d0d7de; }
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
  font-size: 12px; fill: #424a53; }
.title { font-size: 17px; font-weight: 600; fill: #1f2328; }
.panel { font-size: 13px; font-weight: 600; fill: #1f2328; }
.grid { stroke: #e4e8ec; }
.axis { stroke: #8c959f; }
.line { fill: none; stroke-linejoin: round; stroke-linecap: round; }
"""


@attrs.frozen
class Look:
    """The look of a line. Lines differ in colour and in their marks.

    Attributes:
        label: The text in the legend.
        colour: The colour of the line and its marks.
        mark: The number of corners of a mark; 0 for a circle.
        dashes: The dashes of the line, in the syntax of SVG.
        width: The width of the line.
    """

    label: str
    colour: str
    mark: int = 0
    dashes: str = ""
    width: float = 2.0


# Colours that colour-blind people can distinguish (after Okabe and Ito).
LOOKS: dict[Contender, Look] = {
    FAST: Look("losant-tokens, aiohttp's pool", "#0072b2", width=3),
    DEFAULT: Look("losant-tokens, default pool", "#d55e00", width=3),
    AIOHTTP: Look("aiohttp alone", "#56a0d3", 4, "6 5"),
    HTTPX: Look("httpx alone", "#e69f00", 4, "6 5"),
    PYTHON: Look("losant-rest for Python, in threads", "#6b7280", 3),
    NODE: Look("losant-rest for Node.js", "#009e73", 3),
}


@attrs.frozen
class Panel:
    """One of the two panels, with its position and scale.

    Attributes:
        left: The position of the vertical axis.
        title: The title, with the unit.
        figure: The name of the figure.
        ticks: The values with a line across the panel.
        log: Whether the vertical scale is logarithmic.
    """

    left: float
    title: str
    figure: str
    ticks: tuple[float, ...]
    log: bool

    def x(self, concurrency: float) -> float:
        """Return the horizontal position of a concurrency, on a logarithmic scale."""
        return self.left + _PANEL_WIDTH * math.log(concurrency) / math.log(CONCURRENCIES[-1])

    def y(self, value: float) -> float:
        """Return the vertical position of a value."""
        low, high = self.ticks[0], self.ticks[-1]
        part = (
            math.log(value / low) / math.log(high / low)
            if self.log
            else (value - low) / (high - low)
        )
        return _BOTTOM - (_BOTTOM - _TOP) * part


def chart(runs: Sequence[Run], figures: Figures) -> str:
    """Return the chart of the runs, as SVG."""
    rates, costs = (_curves(runs, figures, figure) for figure in ("rate", "cpu"))
    left = Panel(70, "requests per second", "rate", _linear_ticks(_all(rates)), log=False)
    right = Panel(
        540, "CPU, ms per request (logarithmic)", "cpu", _log_ticks(_all(costs)), log=True
    )
    parts = [
        *_card(),
        _text(24, 32, "Deleting tokens from one process", "title"),
        *_legend(list(rates)),
        *_panel(left, rates),
        *_panel(right, costs),
        _text(24, _HEIGHT - 14, _NOTE),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _card() -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        f"<title>{_ALT}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" rx="8"/>',
    ]


def _curves(runs: Sequence[Run], figures: Figures, figure: str) -> dict[Contender, list[Point]]:
    curves: dict[Contender, list[Point]] = {}
    for run in runs:
        point = (
            run.concurrency,
            statistics.median(measurement[figure] for measurement in all_of(run, figures)),
        )
        curves.setdefault(run.contender, []).append(point)
    return curves


def _all(curves: dict[Contender, list[Point]]) -> list[float]:
    return [value for points in curves.values() for _, value in points]


def _linear_ticks(values: Sequence[float]) -> tuple[float, ...]:
    """Return round numbers from zero to above the greatest value."""
    greatest = max(values)
    scale = 10 ** math.floor(math.log10(greatest / _STEPS))
    step = next(scale * n for n in (1, 2, 5, 10) if scale * n * _STEPS >= greatest)
    return tuple(step * n for n in range(math.ceil(greatest / step) + 1))


def _log_ticks(values: Sequence[float]) -> tuple[float, ...]:
    """Return 1, 2 and 5 times each power of ten, from below the smallest to above the greatest."""
    powers = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    candidates = [n * 10.0**power for power in powers for n in (1, 2, 5)]
    low = max(tick for tick in candidates if tick <= min(values))
    high = min(tick for tick in candidates if tick >= max(values))
    return tuple(tick for tick in candidates if low <= tick <= high)


def _legend(contenders: Sequence[Contender]) -> list[str]:
    parts = []
    for number, contender in enumerate(contenders):
        look = LOOKS[contender]
        x, y = 24 + 250 * (number // 2), 58 + 22 * (number % 2)
        parts += [*_curve(look, [(x, y), (x + 34, y)], marked=[(x + 17, y)])]
        parts += [_text(x + 43, y + 4, look.label)]
    return parts


def _panel(panel: Panel, curves: dict[Contender, list[Point]]) -> list[str]:
    right = panel.left + _PANEL_WIDTH
    parts = [_text(panel.left, _TOP - 16, panel.title, "panel")]
    for tick in panel.ticks:
        y = panel.y(tick)
        parts += [_rule("grid", panel.left, y, right, y)]
        parts += [_text(panel.left - 8, y + 4, f"{tick:,.10g}", anchor="end")]
    for concurrency in CONCURRENCIES:
        x = panel.x(concurrency)
        parts += [_rule("axis", x, _BOTTOM, x, _BOTTOM + 5)]
        parts += [_text(x, _BOTTOM + 19, str(concurrency), anchor="middle")]
    parts += [_rule("axis", panel.left, _BOTTOM, right, _BOTTOM)]
    middle = panel.left + _PANEL_WIDTH / 2
    parts += [_text(middle, _BOTTOM + 37, "requests in flight", anchor="middle")]
    # Our lines are drawn last, on top of the others.
    for contender, points in reversed(curves.items()):
        placed = [(panel.x(concurrency), panel.y(value)) for concurrency, value in points]
        parts += _curve(LOOKS[contender], placed, marked=placed)
    return parts


def _curve(look: Look, points: Sequence[Point], marked: Sequence[Point]) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{look.dashes}"' if look.dashes else ""
    line = (
        f'<polyline class="line" stroke="{look.colour}" stroke-width="{look.width:g}"{dashes} '
        f'points="{path}"/>'
    )
    return [line, *(_mark(look, x, y) for x, y in marked)]


def _mark(look: Look, x: float, y: float) -> str:
    if not look.mark:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{look.colour}"/>'
    angles = [2 * math.pi * corner / look.mark - math.pi / 2 for corner in range(look.mark)]
    corners = " ".join(f"{x + 5.5 * math.cos(a):.1f},{y + 5.5 * math.sin(a):.1f}" for a in angles)
    return f'<polygon points="{corners}" fill="{look.colour}"/>'


def _rule(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
