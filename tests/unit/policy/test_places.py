"""The lines of values in a TOML file."""

import tomllib

from losant_tokens.policy._places import lines_of

TEXT = '''# a comment with [[brackets]] and a "quote
title = "a = 'b' # no comment"
text = """
[[no.table]]
key = 1 \\""" still text""""
literal = \'\'\'
'x' ] }\'\'\'
number = 1.5e3
date = 2026-03-01T12:00:00Z
nested = [[1, 2],
  [ "a", { b = [3,
    4] } ], # a comment, ]
]

[ plain."quoted" ]
dotted . key = true
[[list]]
a = 1
[list.sub]
b = 2
[[list.sub2]]
c = 3

[[list]]
d = {}
sub = { e = 'x', f.g = [] }
'''
LINES = {
    ("title",): 2,
    ("text",): 3,
    ("literal",): 6,
    ("number",): 8,
    ("date",): 9,
    ("nested",): 10,
    ("nested", 0, 1): 10,
    ("nested", 1, 0): 11,
    ("nested", 1, 1, "b", 0): 11,
    ("nested", 1, 1, "b", 1): 12,
    ("plain",): 15,
    ("plain", "quoted"): 15,
    ("plain", "quoted", "dotted", "key"): 16,
    ("list",): 17,
    ("list", 0): 17,
    ("list", 0, "a"): 18,
    ("list", 0, "sub"): 19,
    ("list", 0, "sub", "b"): 20,
    ("list", 0, "sub2", 0, "c"): 22,
    ("list", 1): 24,
    ("list", 1, "d"): 25,
    ("list", 1, "sub", "f", "g"): 26,
}


def test_lines() -> None:
    """Each key and item of a document has the line that it starts on."""
    assert tomllib.loads(TEXT)
    lines = lines_of(TEXT)
    assert {path: lines.of(path) for path in LINES} == LINES


def test_missing_values() -> None:
    """A key that is missing has the line of its table, and the file itself has none."""
    lines = lines_of(TEXT)
    assert lines.of(("list", 1, "missing", "deep")) == 24
    assert lines.of(("missing",)) is None
    assert lines.of(()) is None
