"""The names that source code holds: found where they are written, and nowhere else."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from llmring.checking.findings import Finding
from llmring.checking.source import Project, Use
from llmring.checking.source import uses_in as uses_around

from .conftest import Write

HEAD = "from llmring import LLMRequest, LLMRing\n"


def looked_at(path: Path, *own: str) -> tuple[list[Use], list[Finding]]:
    return uses_around(path, replace(Project.of([path]), packages=frozenset(own)))


def uses_in(path: Path, *own: str) -> list[Use]:
    uses, unreadable = looked_at(path, *own)
    assert unreadable == []
    return uses


def named(path: Path, *own: str) -> list[tuple[str, str]]:
    return [(use.kind, use.name) for use in uses_in(path, *own)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("LLMRequest(model='chatbot', messages=[])", ["chatbot"]),
        ("LLMRequest(messages=[], **{}, model='chatbot')", ["chatbot"]),
        ("def f():\n    async def g():\n        return [LLMRequest(model='a')]\n", ["a"]),
        ("LLMRequest(model='a' if x else 'b')", ["a", "b"]),
        ("LLMRequest(model=x or 'b')", ["b"]),
        ("MODEL = 'a'\nLLMRequest(model=MODEL)", ["a"]),
        ("MODEL: Final = 'a'\nLLMRequest(model=MODEL)", ["a"]),
        ("MODEL = 'a'\nasync def f():\n    LLMRequest(model=MODEL)", ["a"]),
        ("A = 'a'\nB = A\nLLMRequest(model=B)", ["a"]),
        ("A = 'a' if x else 'b'\nLLMRequest(model=A)", ["a", "b"]),
        ("if x:\n    A = 'a'\nLLMRequest(model=A)", []),
        ("A = 'a'\nimport A\nLLMRequest(model=A)", []),
        ("A = 'a'\nfrom x import y as A\nLLMRequest(model=A)", []),
        ("A = 'a'\ndef A(): pass\nLLMRequest(model=A)", []),
        ("A = 'a'\nclass A: pass\nLLMRequest(model=A)", []),
        ("A = 'a'\ntry: x()\nexcept E as A: LLMRequest(model=A)", []),
        ("A = 'a'\nmatch x:\n    case [A, *_]: LLMRequest(model=A)", []),
        ("A = 'a'\nmatch x:\n    case [_, *A]: LLMRequest(model=A)", []),
        ("A = 'a'\nmatch x:\n    case {**A}: LLMRequest(model=A)", []),
        ("A = 'a'\ndel A\nLLMRequest(model=A)", []),
        ("MODEL = 'a'\nMODEL = 'b'\nLLMRequest(model=MODEL)", []),
        ("MODEL = 'a'\ndef f(MODEL):\n    LLMRequest(model=MODEL)", []),
        ("for MODEL in x:\n    pass\nMODEL = 'a'\nLLMRequest(model=MODEL)", []),
        ("A = [A]\nLLMRequest(model=A)", []),
        ("A = B\nB = A\nLLMRequest(model=A)", []),
        ("LLMRequest(model=f'a{x}')", []),
        ("LLMRequest(model='a' + x)", []),
        ("LLMRequest(model=settings.model)", []),
        ("LLMRequest(**{'model': 'a'})", ["a"]),
        ("d = {'model': 'a', 'messages': []}\nLLMRequest(**d)", ["a"]),
        ("d = {'model': 'a'}\nd = {}\nLLMRequest(**d)", []),
        ("def f(d):\n    LLMRequest(**d)", []),
        ("r = LLMRequest(messages=[])\nr.model_copy(update={'model': 'a'})", ["a"]),
        ("u = {'model': 'a'}\ndef f(r: LLMRequest):\n    r.model_copy(update=u)", ["a"]),
        ("LLMRequest(messages=[]).model_copy(update={'model': 'a'})", ["a"]),
        ("car.model_copy(update={'model': 'T'})", []),
        ("def f(q, model='a'):\n    LLMRequest(model=model)", []),
        ("async def f(q, /, *, w, model='a'):\n    LLMRequest(model=model)", []),
        ("f = lambda q, model='a': LLMRequest(model=model)", []),
        ("A = 'a'\ndef f(model=A):\n    LLMRequest(model=model)", []),
        ("def f(model=None):\n    LLMRequest(model=model or 'a')", ["a"]),
        ("def f(model='a'):\n    model = x\n    LLMRequest(model=model)", []),
        ("def f(model, q='a'):\n    LLMRequest(model=model)", []),
        ("def f():\n    it = 'a'\n    LLMRequest(model=it)\ndef g():\n    it = 'b'", []),
        ("def f():\n    it = 'a'\n    def g():\n        LLMRequest(model=it)", []),
        ("it = 'a'\ndef f():\n    it = x\n    LLMRequest(model=it)", []),
        ("it = 'a'\ndef f():\n    global it\n    it = x\nLLMRequest(model=it)", []),
        ("try:\n    from x import it\nexcept E:\n    it = 'a'\nLLMRequest(model=it)", []),
        ("it = 'a'\nit += 'b'\nLLMRequest(model=it)", []),
        ("class C:\n    A = 'a'\n    def f(self):\n        LLMRequest(model=self.A)", []),
        ("class C:\n    A: str = 'a'\n    def f(cls):\n        LLMRequest(model=cls.A)", []),
        ("class C:\n    A = 'a'\nLLMRequest(model=C.A)", []),
        ("class C:\n    A = 'a'\n    def f(self, model=A):\n        LLMRequest(model=model)", []),
        ("class C:\n    A = 'a'\n    def f(self):\n        LLMRequest(model=A)", []),
        ("class C:\n    A = 'a'\n    def f(self):\n        self.A = x\n        LLMRequest(model=self.A)", []),
        ("class C:\n    A = 'a'\nclass D(C):\n    def f(self):\n        LLMRequest(model=self.A)", []),
        (
            "class C:\n    def __init__(self, m='a'):\n        self.m = m\n"
            "    def f(self):\n        LLMRequest(model=self.m)",
            [],
        ),
        ("class C:\n    def f(self):\n        self.m = self.m\n        LLMRequest(model=self.m)", []),
        ("def f(self):\n    LLMRequest(model=self.m)", []),
        ("for it in ('a', 'b'):\n    LLMRequest(model=it)", []),
        ("B = 'b'\nfor it in ['a', B, x]:\n    LLMRequest(model=it)", []),
        ("ALL = ('a', 'b')\nasync def f():\n    for it in ALL:\n        LLMRequest(model=it)", []),
        ("[LLMRequest(model=it) for it in {'a'}]", []),
        ("for it in ('a', 'b'):\n    s.resolve_alias(it)", []),
        ("for it in ('a', 'b'):\n    it = x\n    LLMRequest(model=it)", []),
        ("for it in 'ab':\n    LLMRequest(model=it)", []),
        ("IT = 'ab'\nfor it in IT:\n    LLMRequest(model=it)", []),
        ("for it in f(['a']):\n    LLMRequest(model=it)", []),
        ("for it, _ in [('a', 1)]:\n    LLMRequest(model=it)", []),
        ("def f(it):\n    LLMRequest(model=it)\nfor x in ('a', 'b'):\n    f(x)", []),
        ("A = [*A, *A]\nfor it in A:\n    LLMRequest(model=it)", []),
        ("ALL = ['a', 'b']\ns.warm_up(*ALL)\ns.require_aliases(['c', *ALL])", ["a", "b", "c", "a", "b"]),
        ("LLMRequest(**dict(messages=[], model='a'))", ["a"]),
        ("d = dict(base, model='a')\nLLMRequest(**d)", ["a"]),
        ("r = LLMRequest(messages=[])\nr.model_copy(update=dict(model='a'))", ["a"]),
        ("LLMRequest(**dict(name='a'))", []),
        ("LLMRequest(**table(model='a'))", []),
        ("class M(StrEnum):\n    A = 'a'\nLLMRequest(model=M.A)", []),
        ("class M(enum.Enum):\n    A = 'a'\n    B = 'b'\nLLMRequest(model=M.A.value)", []),
        ("class M(str, Enum):\n    A = 'a'\ndef f(m: M = M.A):\n    LLMRequest(model=m.value)", []),
        ("class M(StrEnum):\n    A = 'a'\n    B = 'b'\nfor m in (M.A, M.B):\n    LLMRequest(model=m)", []),
        ("class M(StrEnum):\n    A = auto()\nLLMRequest(model=M.A)", []),
        ("class M:\n    A = 'a'\nLLMRequest(model=M.A.value)", []),
        ("class M:\n    value = 'a'\nLLMRequest(model=M.value)", []),
        ("class M(Enum):\n    A = 'a'\nLLMRequest(model=M.A.name)", []),
        ("LLMRequest(model=x.value)", []),
        ("LLMRequest(model=b'a')", []),
        ("LLMRequest", []),
        ("'LLMRequest(model=\"a\")'", []),
        ("LLMRequest(model='a')  # llmring: ignore", []),
        ("LLMRequest(\n    model='a',  #llmring:ignore: not ours\n)", []),
        ("LLMRequest(model='a')  # ignore", ["a"]),
        ("s.resolve_alias('a')", ["a"]),
        ("self.service.resolve_alias(alias='a')", ["a"]),
        ("s.resolve_alias(*x, 'a')", []),
        ("resolve_alias('a')", []),
        ("s.get_model_info('a')", ["a"]),
        ("s.get_model_info(model='a')", ["a"]),
        ("s.require_aliases(['a', x, 'b'], context='c')", ["a", "b"]),
        ("s.require_aliases(aliases=('a',))", ["a"]),
        ("ALL = ['a', 'b']\ns.require_aliases(ALL)", ["a", "b"]),
        ("A = 'a'\ns.require_aliases([A])", ["a"]),
    ],
)
def test_what_must_be_bound(write: Write, code: str, expected: list[str]) -> None:
    path = write("app.py", HEAD + code)
    assert named(path) == [("needs", name) for name in expected]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("LLMRequest(model=pick())  # llmring: uses a", [("a", 1, 75)]),
        ("#llmring:uses a,b ,  c", [("a", 1, 15), ("b", 1, 17), ("c", 1, 22)]),
        ("# llmring: uses a of those", [("a", 1, 17)]),
        ("x = 'é😀'  # llmring: uses lib:a, b.c", [("lib:a", 1, 27), ("b.c", 1, 34)]),
        ("def f(x):\n    return s.chat(x)  # llmring: uses a", [("a", 2, 39)]),
        ("LLMRequest(model='b')  # llmring: uses a", [("b", 1, 50), ("a", 1, 72)]),
        ("x = '# llmring: uses a'", []),
        ('"""\n# llmring: uses a\n"""', []),
        ("# llmring: uses", []),
        ("# llmring: used a", []),
        ("# as in # llmring: uses a", []),
    ],
)
def test_what_a_comment_says(write: Write, code: str, expected: list[tuple[str, int, int]]) -> None:
    """In any source file, whether it has to do with llmring or not."""
    path = write("app.py", code.replace("LLMRequest", "from llmring import LLMRequest; LLMRequest"))
    uses = uses_in(path)
    assert [(use.name, use.spot.line) for use in uses] == [(name, line) for name, line, _ in expected]
    for use, (_, line, column) in zip(uses, expected, strict=True):
        text = path.read_text(encoding="utf-8").splitlines()[line - 1]
        assert use.spot.column == column
        assert text[column - 1 :].startswith((use.name, f"'{use.name}'"))
    assert {use.kind for use in uses} <= {"needs"}


def test_what_a_comment_in_a_notebook_says(write: Write) -> None:
    (use,) = uses_in(write("book.ipynb", notebook("x = 1", "%time\nf()  # llmring: uses a")))
    assert (use.name, use.spot.cell, use.spot.line, use.spot.column) == ("a", 3, 2, 22)


def test_a_comment_in_what_is_no_python(write: Write) -> None:
    uses, [finding] = looked_at(write("app.py", "# llmring: uses a\nx = (\n"))
    assert (uses, finding.spot.line) == ([], 2)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("from llmring import LLMRequest", True),
        ("from llmring.schemas import LLMRequest", True),
        ("from llmring import *", True),
        ("from . import LLMRequest", True),
        ("from .llm import LLMRequest", True),
        ("from mine.llm import LLMRequest", True),
        ("from other.llm import LLMRequest", False),
        ("class LLMRequest: pass", False),
        ("import json", False),
        ("if x:\n    from llmring import LLMRequest\nelse:\n    pass", True),
    ],
)
def test_whose_request_it_is(write: Write, head: str, expected: bool) -> None:
    path = write("app.py", f"{head}\nLLMRequest(model='a')\n")
    assert named(path, "mine") == ([("needs", "a")] if expected else [])


def test_other_names_for_it(write: Write) -> None:
    path = write(
        "app.py",
        "from llmring import LLMRequest as Ask\nimport llmring as lr\nAsk(model='a')\nlr.LLMRequest(model='b')",
    )
    assert named(path) == [("needs", "a"), ("needs", "b")]


def test_other_kinds(write: Write) -> None:
    code = """\
        from llmring import LLMRing
        service = LLMRing(None, "dev")
        LLMRing(profile="prod")
        service.has_alias("a")
        service.unbind_alias("b")
        service.bind_alias("c", "openai:x, ollama:y", profile="dev")
        service.bind_alias("d", ["openai:z"])
        """
    assert named(write("app.py", textwrap.dedent(code))) == [
        ("profile", "dev"),
        ("profile", "prod"),
        ("asks", "a"),
        ("asks", "b"),
        ("binds", "c"),
        ("model", "openai:x"),
        ("model", "ollama:y"),
        ("profile", "dev"),
        ("binds", "d"),
        ("model", "openai:z"),
    ]


@pytest.mark.parametrize(
    "call", ["resolve_alias('a', 'dev')", "has_alias('a', 'dev')", "has_alias('a', profile='dev')"]
)
def test_the_only_profile_that_is_meant(write: Write, call: str) -> None:
    uses = uses_in(write("app.py", f"{HEAD}service.{call}"))
    assert [(use.name, use.profile) for use in uses if use.kind != "profile"] == [("a", "dev")]


def test_the_place_counts_characters(write: Write) -> None:
    path = write("app.py", "\ufeff" + HEAD + "x = 'é😀'; LLMRequest(model='a')\n")
    (use,) = uses_in(path)
    assert (use.spot.path, use.spot.line, use.spot.column, use.spot.cell) == (path, 2, 28, 0)
    assert str(use.spot) == f"{path}:2:28"


def test_an_encoding_of_its_own(write: Write, bare: Path) -> None:
    path = bare / "app.py"
    path.write_bytes(f"# coding: latin-1\n{HEAD}LLMRequest(model='é')\n".encode("latin-1"))
    assert named(path) == [("needs", "é")]


def notebook(*cells: str) -> str:
    listed = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": "LLMRequest(model='x')"}, *listed]})


def test_a_notebook(write: Write) -> None:
    path = write(
        "book.ipynb",
        notebook(
            HEAD + "MODEL = 'a'",
            "%pip install llmring\n!ls\nif x:\n    %time\nLLMRequest(model=MODEL)",
            "%%bash\nfor",
            "await s.chat(LLMRequest(model='b'))",
        ),
    )
    assert [(use.name, use.spot.cell, use.spot.line) for use in uses_in(path)] == [("a", 3, 5), ("b", 5, 1)]
    assert str(uses_in(path)[0].spot) == f"{path}:cell 3:5:18"


@pytest.mark.parametrize(
    "written",
    [
        "files = !ls *.py",
        "LLMRequest?",
        "LLMRequest??",
        "?LLMRequest",
        "%time x = 1",
        "%timeit -n 3 f()",
        "rows = %sql select 1",
        "!pip install llmring",
        "a, b = !ls",
    ],
)
def test_what_only_ipython_understands_is_passed_over(write: Write, written: str) -> None:
    path = write("book.ipynb", notebook(HEAD, f"if x:\n    {written}\nLLMRequest(model='a')", "LLMRequest(model='b')"))
    assert [(use.name, use.spot.cell, use.spot.line) for use in uses_in(path)] == [("a", 3, 3), ("b", 4, 1)]


@pytest.mark.parametrize("code", ["%time LLMRequest(model='a')", "%%time\nLLMRequest(model='a')"])
def test_what_is_timed_is_python_all_the_same(write: Write, code: str) -> None:
    path = write("book.ipynb", notebook(HEAD, code))
    (use,) = uses_in(path)
    at = code.replace("\n", "").index("'a'") - (6 if code.startswith("%%") else 0) + 1
    assert (use.name, use.spot.cell, use.spot.column) == ("a", 3, at)


def test_comparisons_and_modulo_are_no_magic(write: Write) -> None:
    path = write("book.ipynb", notebook(HEAD, "x = 7 % 3 != LLMRequest(model='a')\ny = x == '!'\nz = '?'\n"))
    assert named(path) == [("needs", "a")]


def test_a_cell_that_is_no_python_costs_no_other_cell(write: Write) -> None:
    path = write("book.ipynb", notebook(HEAD, "LLMRequest(model='a')", "x = 1\nLLMRequest(", "LLMRequest(model='b')"))
    uses, [finding] = looked_at(path)
    assert (finding.spot.cell, finding.spot.line, finding.spot.column) == (4, 2, 1)
    assert finding.message.startswith("The cell was passed over: it is no valid Python: ")
    assert [use.name for use in uses] == ["a", "b"]


def test_each_cell_that_is_no_python_is_told_of(write: Write) -> None:
    path = write("book.ipynb", notebook(HEAD, "x = (", "LLMRequest(model='a')", ")"))
    uses, unreadable = looked_at(path)
    assert [finding.spot.cell for finding in unreadable] == [3, 5]
    assert [use.name for use in uses] == ["a"]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("app.py", "LLMRequest(\n", 1),
        ("app.py", "x = 1\nLLMRequest(model='a'))\n", 2),
        ("app.py", "LLMRequest\0", 0),
        ("app.py", "LLMRequest(model=" + "(" * 5000, None),
        ("book.ipynb", "LLMRequest", 0),
        ("book.ipynb", '{"cells": [{"LLMRequest": 1}]}', 0),
        ("book.ipynb", '["LLMRequest"]', 0),
    ],
)
def test_what_cannot_be_read_says_so(write: Write, name: str, text: str, line: int | None) -> None:
    uses, [finding] = looked_at(write(name, text))
    assert uses == []
    assert (finding.code, finding.severity) == ("source-unreadable", "warning")
    assert finding.advice == "Fix it, or check other paths."
    assert line is None or (finding.spot.line, finding.spot.column) == (line, 1 if line else 0)


def test_what_does_not_speak_of_us_is_not_parsed(write: Write) -> None:
    assert uses_in(write("app.py", "def broken(:")) == []


@pytest.mark.filterwarnings("error")
def test_odd_strings_in_the_code_warn_nobody(write: Write) -> None:
    assert named(write("app.py", HEAD + "x = '\\d'\nLLMRequest(model='a')")) == [("needs", "a")]
