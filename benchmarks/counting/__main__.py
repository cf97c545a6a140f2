"""`python -m benchmarks.counting`: the figures of an estimate, from what was measured, and how far off they are."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llmring
from llmring.counting import estimates
from llmring.counting.contents import Contents
from llmring.counting.scripts import KINDS

MEASURED = Path(__file__).with_name("measured.json")
RATIOS = Path(llmring.__file__).with_name("counting") / "ratios.json"

_RUN = 0.06
_ADDED = ("tool_text", "form_text", "turn", "call", "tools", "form", "request")


@dataclass(frozen=True)
class Basis:
    """What a family's figures are made of.

    Attributes:
        kinds: the tokenizer whose tokens for a character they are.
        spread: those that say how far off they may be.
        newer: how many times as many tokens models of the family make that were not measured.
    """

    kinds: str
    spread: tuple[str, ...]
    newer: float = 1.0


BASES = {
    # anthropic.com/news/claude-opus-4-7: its tokenizer makes 1.0 to 1.35 times as many tokens as those before.
    "anthropic": Basis("claude", ("claude",), newer=1.35),
    "openai": Basis("openai", ("openai",)),
    "google": Basis("google", ("google",)),
    "others": Basis("tekken", ("tekken", "mistral", "qwen", "openai")),
}


def least_squares(rows: Sequence[Sequence[float]], wanted: Sequence[float], *, robust: bool) -> list[float]:
    """Factors of the columns, none below 0, by which the rows' relative errors are least.

    Args:
        rows, wanted: figures, and what they are to come to.
        robust: what is far off has little say.
    """
    width = len(rows[0])
    found, weights = [0.5] * width, [1 / max(it, 1.0) for it in wanted]
    for _ in range(20 if robust else 1):
        pairs = [([it * w for it in row], it * w) for row, it, w in zip(rows, wanted, weights, strict=True)]
        gram = [[sum(row[i] * row[j] for row, _ in pairs) for j in range(width)] for i in range(width)]
        right = [sum(row[i] * it for row, it in pairs) for i in range(width)]
        for _ in range(2000):
            for i in range(width):
                if gram[i][i]:
                    rest = right[i] - sum(map(float.__mul__, gram[i], found))
                    found[i] = max(0.0, found[i] + rest / gram[i][i])
        off = [abs(_sum(row, found) - it) / max(it, 1.0) for row, it in zip(rows, wanted, strict=True)]
        weights = [1 / max(it, 1.0) / max(o, 0.03) ** 0.5 for it, o in zip(wanted, off, strict=True)]
    return found


def _sum(row: Iterable[float], factors: Iterable[float]) -> float:
    return sum(one * other for one, other in zip(row, factors, strict=True))


def quantile(values: Iterable[float], part: float) -> float:
    """The value that this part of them is below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(part * (len(ordered) - 1))))]


def of_kinds(kinds: Mapping[str, int], ratios: Mapping[str, float]) -> float:
    """The tokens of so many characters."""
    return sum(ratios[kind] * times for kind, times in kinds.items())


def fit(measured: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The measured figures of a family."""
    basis = BASES[name]
    rows = [[float(text["kinds"].get(kind, 0)) for kind in KINDS] for text in measured["texts"]]
    found = least_squares(rows, [text["tokens"][basis.kinds] for text in measured["texts"]], robust=False)
    kinds = dict(zip(KINDS, found, strict=True))
    asked = [it for it in measured["requests"] if family(it["model"]) == name and it["tokens"] > 3]
    plain = [it for it in asked if not it["tools"] and not it["kinds"][2] and of_kinds(it["kinds"][0], kinds) > 200]
    # Those of today, where the tokenizer is an older one.
    scale = quantile((it["tokens"] / of_kinds(it["kinds"][0], kinds) for it in plain), 0.5) if basis.newer > 1 else 1.0
    kinds = {kind: round(it * scale, 3) for kind, it in kinds.items()}
    # No text that was measured has long runs; tokenizers have eight to a hundred of one character in a token.
    kinds["run"] = max(kinds["run"], _RUN)
    counted = name == "openai"

    def texts(it: Mapping[str, Any], *, exactly: bool) -> list[float]:
        return [float(n) for n in it["openai"]] if exactly else [of_kinds(part, kinds) for part in it["kinds"]]

    columns, wanted = [], []
    for it in asked:
        said, tools, form = texts(it, exactly=counted)
        columns.append([tools, form, it["turns"], it["calls"], bool(it["tools"]), bool(form), 1.0])
        wanted.append(max(0.0, it["tokens"] - said))
    added = {key: round(it, 2) for key, it in zip(_ADDED, _robust(columns, asked, wanted), strict=True)}
    ratios = [
        text["tokens"][it] / of_kinds(text["kinds"], kinds) * scale for text in measured["texts"] for it in basis.spread
    ]
    spread = {"low": round(min(ratios), 2), "high": round(quantile(ratios, 0.99) * basis.newer, 2)}
    out: dict[str, Any] = {"kinds": kinds, "scale": round(scale, 3), **added, "spread": spread}
    spread["hidden"] = _hidden(asked, [texts(it, exactly=False) for it in asked], out, spread["high"])
    if counted:
        exact = {"low": 0.9, "high": 1.1}
        exact["hidden"] = _hidden(asked, [texts(it, exactly=True) for it in asked], out, exact["high"])
        out["counted"] = exact
    return out


def _robust(columns: list[list[float]], asked: Sequence[Mapping[str, Any]], wanted: list[float]) -> list[float]:
    """What is added to the text, by the error that it has in the whole."""
    rows = [[float(it) / one["tokens"] for it in row] for row, one in zip(columns, asked, strict=True)]
    parts = [it / one["tokens"] for it, one in zip(wanted, asked, strict=True)]
    found = [0.5] * len(_ADDED)
    weights = [1.0] * len(rows)
    for _ in range(40):
        for _ in range(60):
            for i in range(len(found)):
                square = sum(w * row[i] ** 2 for row, w in zip(rows, weights, strict=True))
                if square:
                    rest = sum(
                        w * row[i] * (part - _sum(row, found))
                        for row, part, w in zip(rows, parts, weights, strict=True)
                    )
                    found[i] = max(0.0, found[i] + rest / square)
        off = [abs(_sum(row, found) - part) for row, part in zip(rows, parts, strict=True)]
        weights = [1 / max(it, 0.03) for it in off]
    return found


def _hidden(asked: Sequence[Mapping[str, Any]], texts: list[list[float]], out: Mapping[str, Any], high: float) -> int:
    """What vendors may add beyond what is known, in 99 of 100 requests."""
    beyond = []
    for it, (said, tools, form) in zip(asked, texts, strict=True):
        told = said + out["tool_text"] * tools + out["form_text"] * form
        told += out["request"] + out["turn"] * it["turns"] + out["call"] * it["calls"]
        told += out["tools"] * bool(it["tools"]) + out["form"] * bool(form)
        beyond.append(it["tokens"] - high * told)
    return max(0, round(quantile(beyond, 0.99)))


def family(model: str) -> str:
    """The family of a model."""
    return estimates.family_of(model).name


def report(measured: Mapping[str, Any]) -> None:
    """How near the figures of the package come to what was measured."""
    for name in BASES:
        of = estimates.families()[name]
        asked = [it for it in measured["requests"] if family(it["model"]) == name and it["tokens"] > 3]
        for way in ("characters", "tiktoken")[: 1 + of.tokenizer]:
            found = [(it["tokens"], estimates.estimate(_measured(it), of, _counted(it, way))) for it in asked]
            off = [tokens / it.tokens for tokens, it in found]
            within = sum(it.at_least <= tokens <= (it.at_most or 1e9) for tokens, it in found)
            above = sum(tokens >= it.at_least for tokens, it in found)
            print(
                f"{name:10} {way:10} {len(found):4} requests: of 100, half are within "
                f"{quantile(off, 0.25):.2f} to {quantile(off, 0.75):.2f} times the estimate, 90 within "
                f"{quantile(off, 0.05):.2f} to {quantile(off, 0.95):.2f}; {within / len(found):.1%} between at_least "
                f"and at_most, {above / len(found):.1%} above at_least"
            )
        for tokenizer in BASES[name].spread:
            scale = json.loads(RATIOS.read_text(encoding="utf-8"))[name]["measured"]["scale"]
            ratios = [
                text["tokens"][tokenizer] * scale / of_kinds(text["kinds"], of.kinds) for text in measured["texts"]
            ]
            print(
                f"{'':10} {tokenizer:10} {len(ratios):4} texts:    90 of 100 within {quantile(ratios, 0.05):.2f} to "
                f"{quantile(ratios, 0.95):.2f} times the estimate, all within {min(ratios):.2f} to {max(ratios):.2f}"
            )


def _counted(it: Mapping[str, Any], way: str) -> tuple[int, int, int] | None:
    said, tools, form = it["openai"]
    return (said, tools, form) if way == "tiktoken" else None


def _measured(it: Mapping[str, Any]) -> estimates.Measured:
    said, tools, form = (Counter[str](kinds) for kinds in it["kinds"])
    contents = Contents(turns=it["turns"], calls=it["calls"], tools=["-"] * it["tools"], form="-" if form else "")
    return estimates.Measured(contents, said, tools, form)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures into the package")
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    if parser.parse_args().write:
        ratios = json.loads(RATIOS.read_text(encoding="utf-8"))
        for name in BASES:
            ratios[name]["measured"] = fit(measured, name)
        RATIOS.write_text(json.dumps(ratios, indent=2) + "\n", encoding="utf-8")
        estimates.families.cache_clear()
        llmring.vendors.load.cache_clear()
    report(measured)


if __name__ == "__main__":
    main()
