"""The picture of a trace, drawn from what the SDK exports of a real request: `python -m docs.tracing [PATH]`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llmring import LLMRequest, LLMRing, Message
from llmring.telemetry import OpenTelemetry
from llmring.testing import Fault, PracticeServer, Tokens

__all__ = ["draw"]

PICTURE = Path(__file__).parent / "images" / "trace.svg"
_LEFT, _WIDTH, _ROW, _TOP = 250, 540, 66, 24
_FONT = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_GOOD, _BAD, _CALLER = "#4078c0", "#c0504d", "#8a8f98"
_SHOWN = (
    "llmring.alias",
    "llmring.outcome",
    "llmring.attempts",
    "error.type",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "llmring.cost.usd",
)


def trace() -> list[ReadableSpan]:
    """The spans of a request whose first model fails, whose second breaks off, and whose third goes on."""
    exporter = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    models = ["anthropic:claude-haiku-5-5", "openai:gpt-6-luna", "google:gemini-3.5-flash"]
    with TemporaryDirectory() as folder, PracticeServer() as server:
        server.reply(status=503, delay=0.1, model="claude-haiku-5-5")
        cut = Fault.cut_after(3)
        server.reply(
            chunks=["Blue", " light", " is", " scattered"],
            fault=cut,
            delay=0.15,
            interval=0.08,
            usage=Tokens(24, 6),
            model="gpt-6-luna",
        )
        server.reply(
            chunks=[" scattered", " most", "."],
            delay=0.12,
            interval=0.08,
            usage=Tokens(41, 5),
            model="gemini-3.5-flash",
        )
        # By the name of a gateway: at a host of one's own nobody bills.
        there = server.environ("http://gateway.invalid") | {"HTTP_PROXY": server.url, "http_proxy": server.url}
        before = dict(os.environ)
        os.environ.update({**there, "LLMRING_LOCKFILE_PATH": str(Path(folder) / "none.lock")})
        try:
            asyncio.run(_ask(models, tracers))
        finally:
            os.environ.clear()
            os.environ.update(before)
    return list(exporter.get_finished_spans())


async def _ask(models: list[str], tracers: TracerProvider) -> None:
    listener = OpenTelemetry(tracer_provider=tracers)
    request = LLMRequest(
        model="chatbot",
        messages=[Message(role="user", content="Why is the sky blue?")],
        on_interrupt="resume",
    )
    async with LLMRing(aliases={"chatbot": models}, on_event=listener, max_retries=0) as service:
        service.warm_up("chatbot", *models)
        for model in models:
            await asyncio.to_thread(service.get_provider, model.partition(":")[0])
        with tracers.get_tracer("program").start_as_current_span("GET /ask"):
            async for _ in service.chat_stream(request):
                pass


def draw(spans: list[ReadableSpan]) -> str:
    """The picture, as SVG: a row for each span, the caller's first."""
    rows = sorted(spans, key=lambda it: (it.start_time or 0, -(it.end_time or 0)))
    begin, end = min(it.start_time or 0 for it in rows), max(it.end_time or 0 for it in rows)
    scale = _WIDTH / (end - begin)
    depth: dict[int, int] = {}
    parts = []
    for number, span in enumerate(rows):
        assert span.context is not None
        depth[span.context.span_id] = level = depth.get(span.parent.span_id, -1) + 1 if span.parent else 0
        of: dict[str, Any] = dict(span.attributes or {})
        y = _TOP + number * _ROW
        x, long = (
            _LEFT + ((span.start_time or 0) - begin) * scale,
            ((span.end_time or 0) - (span.start_time or 0)) * scale,
        )
        colour = _CALLER if not of else _BAD if "error.type" in of else _GOOD
        parts.append(_text(8 + level * 14, y + 14, span.name, "name"))
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{max(long, 2):.1f}" height="20" rx="3" fill="{colour}"/>')
        parts.append(_text(x + long + 6, y + 14, f"{long / scale / 1e6:.0f} ms", "time"))
        said = [
            f"{name} = {of[name]:.6g}" if isinstance(of[name], float) else f"{name} = {of[name]}"
            for name in _SHOWN
            if name in of
        ]
        for line, of_line in enumerate((said[:3], said[3:])):
            if of_line:
                parts.append(_text(_LEFT, y + 35 + 14 * line, " · ".join(of_line), "said"))
        for event in span.events:
            at = _LEFT + (event.timestamp - begin) * scale
            parts.append(f'<circle cx="{at:.1f}" cy="{y + 10}" r="4" fill="#fff" stroke="#333"/>')
        if span.events:
            names = ", ".join(it.name.removeprefix("llmring.") for it in span.events)
            parts.append(_text(8 + level * 14, y + 35, f"○ {names}", "said"))
    height, width = _TOP + len(rows) * _ROW, _LEFT + _WIDTH + 80
    style = (
        f"text{{font-family:{_FONT};fill:#222}}.name{{font-size:13px}}.time,.said{{font-size:11px}}.said{{fill:#555}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{style}</style><rect width="{width}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" class="{kind}">{escape(text)}</text>'


if __name__ == "__main__":
    logging.disable()
    Path(sys.argv[1] if len(sys.argv) > 1 else PICTURE).write_text(draw(trace()), encoding="utf-8")
