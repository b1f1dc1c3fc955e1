"""The recordings of the command in the documentation, and their SVG."""

import html
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.support.documentation import PAGES, ROOT
from tests.support.recordings import FOLDER, RECORDINGS, Terminal, record, without_empty_rows
from tests.support.terminal_svg import Frame, Run, Style, to_svg

SVG = "{http://www.w3.org/2000/svg}"
ROW = (Run(0, "$ ", 2, Style("green", bold=True)), Run(2, "a < b", 5, Style()))
OTHER = (Run(0, " ", 1, Style(background="ff0000")), Run(4, "c", 1, Style("0000ff")))


def test_screen() -> None:
    """A screen has the text of each row in its place and color, and does not move."""
    svg = to_svg([Frame((ROW, (), OTHER))], 80, "A & B")
    root = ET.fromstring(svg)
    texts = {text.text: text.attrib for text in root.iter(f"{SVG}text")}

    assert root.findtext(f"{SVG}title") == "A & B"
    assert (texts["$ "]["fill"], texts["$ "]["font-weight"]) == ("#3fb950", "bold")
    assert texts["a < b"]["x"] == "16.8"
    assert texts["c"]["fill"] == "#0000ff"
    assert [use.get("y") for use in root.iter(f"{SVG}use")] == ["0", "40"]
    assert "@keyframes" not in svg


def test_recording() -> None:
    """A recording shows one screen after the other, and has each row once."""
    frames = [Frame((ROW,), 0.0), Frame((ROW, OTHER), 1.0)]
    svg = to_svg(frames, 80, "Title", hold=3.0)

    assert "@keyframes k0{0.000%{visibility:visible}25.000%{visibility:hidden}}" in svg
    assert "@keyframes k1{0%{visibility:hidden}25.000%{visibility:visible}}" in svg
    assert svg.count(">a &lt; b</text>") == 1


def test_last_screen_is_shown_without_motion() -> None:
    """A reader who prefers no motion sees the last screen of a recording."""
    svg = to_svg([Frame((ROW,)), Frame((OTHER,), 1.0)], 80, "Title")

    assert "#f1{visibility:visible}@media (prefers-reduced-motion:no-preference)" in svg


def test_repeated_and_empty_screens() -> None:
    """Rows below the last text, and screens that repeat the one before, are left out."""
    frames = [Frame((ROW, ()), 2.0), Frame((ROW, ()), 3.0), Frame((OTHER, ()), 4.0)]

    assert without_empty_rows(frames) == [Frame((ROW,), 0.0), Frame((OTHER,), 2.0)]


def test_terminal(tmp_path: Path) -> None:
    """A terminal runs a command, and its last screen has the output in color."""
    terminal = Terminal(40, tmp_path, {"PATH": "/usr/bin:/bin"})
    *_, last = terminal.run(r"printf '\033[31mred\033[0m plain\n'")
    texts = [(run.text, run.style.foreground) for row in last.rows for run in row]

    assert ("red", "red") in texts
    assert any(text.strip() == "plain" for text, _ in texts)


def test_failed_command(tmp_path: Path) -> None:
    """A command that fails is not recorded."""
    terminal = Terminal(40, tmp_path, {"PATH": "/usr/bin:/bin"})

    with pytest.raises(RuntimeError, match=r"exited with 3: .*broken"):
        list(terminal.run("echo broken; exit 3"))


def test_images_of_pages_exist() -> None:
    """Each image of the README and the documentation is in the repository."""
    missing = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text())
        if not (page.parent / target).is_file()
    ]

    assert missing == []


def test_recordings_are_shown() -> None:
    """A page shows each recording, and there is no file of another one."""
    names = {recording.name for recording in RECORDINGS}
    pages = "".join(page.read_text() for page in PAGES)

    assert {path.stem for path in FOLDER.iterdir()} == names
    assert [name for name in names if f"recordings/{name}.svg" not in pages] == []


@pytest.mark.slow
def test_recordings_can_be_made() -> None:
    """The commands of each recording succeed, and are in it."""
    for recording in RECORDINGS:
        svg = record(recording)

        for command in recording.commands:
            assert command in html.unescape(svg)
