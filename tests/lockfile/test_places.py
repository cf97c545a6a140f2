from __future__ import annotations

import pytest

from llmring.lockfile.places import Place, line_and_column, locate, scan

TOML = '''\
a = """x""""
z = """\n"" = """
b."c d" . 'e' = [1, {f = 2 , "g" = '}'}, [ ] ] # h = 1
i = \'\'\'
[j]\'\'\'\'\'
[k] # l
m = 2024-01-01 00:00:00 # n
[[ o . p ]]
q = "\\"#"
[o.p.r]
s = { t.u = true }
[[o.p]]
[["o".p.v]]
[[o.p.v]]
w = 1e3'''


def test_every_entry_is_found_where_it_is() -> None:
    found = {entry.place: TOML[entry.start : entry.end] for entry in scan(TOML, is_json=False)}
    assert found == {
        ("a",): 'a = """x""""',
        ("z",): 'z = """\n"" = """',
        ("b", "c d", "e"): "b.\"c d\" . 'e' = [1, {f = 2 , \"g\" = '}'}, [ ] ]",
        ("b", "c d", "e", 0): "1",
        ("b", "c d", "e", 1): "{f = 2 , \"g\" = '}'}",
        ("b", "c d", "e", 1, "f"): "f = 2",
        ("b", "c d", "e", 1, "g"): "\"g\" = '}'",
        ("b", "c d", "e", 2): "[ ]",
        ("i",): "i = '''\n[j]'''''",
        ("k",): "[k]",
        ("k", "m"): "m = 2024-01-01 00:00:00",
        ("o", "p", 0): "[[ o . p ]]",
        ("o", "p", 0, "q"): 'q = "\\"#"',
        ("o", "p", 0, "r"): "[o.p.r]",
        ("o", "p", 0, "r", "s"): "s = { t.u = true }",
        ("o", "p", 0, "r", "s", "t", "u"): "t.u = true",
        ("o", "p", 1): "[[o.p]]",
        ("o", "p", 1, "v", 0): '[["o".p.v]]',
        ("o", "p", 1, "v", 1): "[[o.p.v]]",
        ("o", "p", 1, "v", 1, "w"): "w = 1e3",
    }


def test_json_has_the_same_places() -> None:
    text = '\ufeff {"a" : [1, {"b\\u0020\\/": "}"}],\n"c"\n: {}, "d": -1.5e3 }'
    found = {entry.place: text[entry.start : entry.end] for entry in scan(text, is_json=True)}
    assert found == {
        (): text[2:],
        ("a",): '"a" : [1, {"b\\u0020\\/": "}"}]',
        ("a", 0): "1",
        ("a", 1): '{"b\\u0020\\/": "}"}',
        ("a", 1, "b /"): '"b\\u0020\\/": "}"',
        ("c",): '"c"\n: {}',
        ("d",): '"d": -1.5e3',
    }


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("k", "m"), "2024"),
        (("o", "p", 0), "[[ o"),
        (("o", "p", 0, "r", "s", "t"), "true"),
        (("o", "p", 1, "v"), '[["o"'),
        (("o", "p", 0, "q", "nothing"), '"\\"#"'),
        (("nothing",), "a ="),
    ],
)
def test_the_nearest_place_is_shown(place: Place, text: str) -> None:
    assert TOML[locate(scan(TOML, is_json=False), place) :].startswith(text)


def test_lines_and_columns_count_from_one() -> None:
    text = "\ufeffab\r\ncd"
    assert [line_and_column(text, offset) for offset in (0, 1, 2, 5, 6, 7)] == [
        (1, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3),
    ]  # fmt: skip
