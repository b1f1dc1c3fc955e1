"""Screens of a terminal as SVG: one screen, or a recording that plays in a browser.

A row that occurs in several screens is in the file once.
"""

from collections.abc import Sequence
from html import escape
from types import MappingProxyType

import attrs

CELL_WIDTH, ROW_HEIGHT, FONT_SIZE = 8.4, 20.0, 14
PADDING, TITLE_HEIGHT = 16.0, 36.0
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
BACKGROUND, FOREGROUND = "#161b22", "#dde3ea"
COLORS = MappingProxyType(
    {
        "black": "#484f58",
        "red": "#ff7b72",
        "green": "#3fb950",
        "brown": "#d29922",  # the name of yellow in pyte
        "blue": "#58a6ff",
        "magenta": "#bc8cff",
        "cyan": "#39c5cf",
        "white": "#b1bac4",
        "brightblack": "#8b949e",
        "brightred": "#ffa198",
        "brightgreen": "#56d364",
        "brightbrown": "#e3b341",
        "brightyellow": "#e3b341",
        "brightblue": "#79c0ff",
        "brightmagenta": "#d2a8ff",
        "brightcyan": "#56d4dd",
        "brightwhite": "#ffffff",
    }
)


@attrs.frozen
class Style:
    """How a text looks. The colors are names of `COLORS`, six hex digits, or `default`."""

    foreground: str = "default"
    background: str = "default"
    bold: bool = False
    italic: bool = False
    underline: bool = False


@attrs.frozen
class Run:
    """Cells in a row with one style: the column of the first, their text, and their number."""

    column: int
    text: str
    width: int
    style: Style


Row = tuple[Run, ...]


@attrs.frozen
class Frame:
    """A screen, and the time at which it appears, in seconds."""

    rows: tuple[Row, ...]
    time: float = 0.0


def to_svg(frames: Sequence[Frame], columns: int, title: str, hold: float = 4.0) -> str:
    """Return a screen, or a recording of several screens that repeats.

    Args:
        frames: The screens, in the order of their times. Without motion, the last one is shown.
        columns: The width of the terminal.
        title: The title of the window, which is also the title of the image.
        hold: How long the last screen is shown before the first appears again, in seconds.
    """
    height = PADDING * 2 + TITLE_HEIGHT + ROW_HEIGHT * max(len(frame.rows) for frame in frames)
    width = PADDING * 2 + CELL_WIDTH * columns
    rows: dict[Row, str] = {}
    body = []
    for number, frame in enumerate(frames):
        uses = []
        for line, row in enumerate(frame.rows):
            if row:
                name = rows.setdefault(row, f"r{len(rows)}")
                uses.append(f'<use href="#{name}" y="{line * ROW_HEIGHT:g}"/>')
        body.append(f'<g class="frame" id="f{number}">{"".join(uses)}</g>')
    definitions = "\n".join(f'<g id="{name}">{_row(row)}</g>' for row, name in rows.items())
    top = PADDING + TITLE_HEIGHT
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"',
            f'  width="{width:g}" height="{height:g}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_css(frames, hold)}</style>",
            f"<defs>\n{definitions}\n</defs>",
            f'<rect width="{width:g}" height="{height:g}" rx="8" fill="{BACKGROUND}"/>',
            *(
                f'<circle cx="{20 + 20 * number}" cy="20" r="6" fill="{color}"/>'
                for number, color in enumerate(("#ff5f57", "#febc2e", "#28c840"))
            ),
            f'<text x="{width / 2:g}" y="25" text-anchor="middle" fill="#8b949e">',
            f"{escape(title)}</text>",
            f'<g transform="translate({PADDING:g} {top:g})">',
            *body,
            "</g>",
            "</svg>\n",
        )
    )


def _row(row: Row) -> str:
    """Return the backgrounds and the texts of a row whose top is at 0."""
    parts = []
    for run in row:
        x, width = run.column * CELL_WIDTH, run.width * CELL_WIDTH
        if run.style.background != "default":
            fill = _color(run.style.background, BACKGROUND)
            parts.append(
                f'<rect x="{x:g}" width="{width:g}" height="{ROW_HEIGHT:g}" fill="{fill}"/>'
            )
        if not run.text.strip():
            continue
        look = f' fill="{_color(run.style.foreground, FOREGROUND)}"'
        look += ' font-weight="bold"' if run.style.bold else ""
        look += ' font-style="italic"' if run.style.italic else ""
        look += ' text-decoration="underline"' if run.style.underline else ""
        # The length keeps columns aligned in fonts of another width.
        parts.append(
            f'<text x="{x:g}" y="15" textLength="{width:g}"{look}>{escape(run.text)}</text>'
        )
    return "".join(parts)


def _color(name: str, default: str) -> str:
    return default if name == "default" else COLORS.get(name, f"#{name}")


def _css(frames: Sequence[Frame], hold: float) -> str:
    rules = [
        f"text{{font:{FONT_SIZE}px {FONTS};white-space:pre}}",
        f".frame{{visibility:hidden}}#f{len(frames) - 1}{{visibility:visible}}",
    ]
    if len(frames) > 1:
        total = frames[-1].time + hold
        motion = []
        for number, frame in enumerate(frames):
            following = frames[number + 1].time if number + 1 < len(frames) else total
            start, end = frame.time / total * 100, following / total * 100
            steps = "" if number == 0 else "0%{visibility:hidden}"
            steps += f"{start:.3f}%{{visibility:visible}}"
            steps += "" if number + 1 == len(frames) else f"{end:.3f}%{{visibility:hidden}}"
            motion.append(f"@keyframes k{number}{{{steps}}}")
            motion.append(f"#f{number}{{animation:k{number} {total:.2f}s step-end infinite}}")
        rules.append(f"@media (prefers-reduced-motion:no-preference){{{''.join(motion)}}}")
    return "".join(rules)
