"""Write JSON with a long list, item by item, and a report as JSON for programs."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from losant_tokens.jobs._report.report_data import ReportData, separate


def json_document(
    members: Mapping[str, object], name: str, items: Iterable[object]
) -> Iterator[str]:
    """Return a JSON object in parts, with a list as its last member.

    Only one item is in memory at a time.

    Args:
        members: The other members, of which there must be one.
        name: The name of the list.
        items: The items of the list, each of which becomes one line.
    """
    yield json.dumps(members, indent=2).removesuffix("\n}")
    yield f',\n  "{name}": ['
    yield from separate(f"\n    {json.dumps(item)}" for item in items)
    yield "\n  ]\n}\n"


def write_json(report: ReportData, file: TextIO) -> None:
    """Write one JSON document, with one line for each token."""
    file.writelines(json_document(report.summary(), "tokens", report.rows()))
