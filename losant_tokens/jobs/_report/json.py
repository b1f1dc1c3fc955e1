"""Write a report as JSON, for programs."""

import json
from typing import TextIO

from losant_tokens.jobs._report.report_data import ReportData, separate


def write_json(report: ReportData, file: TextIO) -> None:
    """Write one JSON document, with one line for each token."""
    head = json.dumps(report.summary(), indent=2)
    file.write(head.removesuffix("\n}") + ',\n  "tokens": [')
    file.writelines(separate(f"\n    {json.dumps(row)}" for row in report.rows()))
    file.write("\n  ]\n}\n")
