"""`llmring map --engine ray` in figures: rows a second, and what the one process that writes costs for each row.

python -m benchmarks.clusters [ROWS]

The practice server is a process of its own, on the same cores. What a run needs to know is measured without Ray, for
so many rows and for four times as many, so that it is seen what grows.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from llmring.bulk import Asking, Output, Rows
from llmring.clusters.reading import blocks

_SERVER = """
import json, sys
from llmring.testing import PracticeServer, Reply
server = PracticeServer(record=False)
server.default = Reply("a label of some words for this row", delay=0.2)
with server:
    print(json.dumps(server.environ()), flush=True)
    sys.stdin.read()
"""
_TEXT = "A review of some two hundred characters, as people write when a thing has come, was tried, and was sent back. "


def write(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            file.write(json.dumps({"id": n, "text": f"{_TEXT * 2}{n}"}) + "\n")


def memory() -> int:
    """Bytes that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(folder: Path, rows: int, workers: int) -> dict[str, Any]:
    """A run over Ray: what it says of itself, and how long it took from the first answer on."""
    write(folder / "rows.jsonl", rows)
    out = folder / f"out-{workers}.jsonl"
    command = [sys.executable, "-c", "import sys; from llmring.cli import main; sys.exit(main())", "map", "rows.jsonl"]
    command += ["--model", "openai:gpt-5-mini", "--prompt", "Label: {text}", "-o", out.name]
    command += ["--engine", "ray", "--workers", str(workers)]
    with subprocess.Popen([sys.executable, "-c", _SERVER], stdin=-1, stdout=-1, text=True) as server:
        assert server.stdout is not None
        environment = {**os.environ, **json.loads(server.stdout.readline())}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=-1, stderr=subprocess.DEVNULL)
        first = first_size = 0.0
        peak = 0
        while process.poll() is None:
            time.sleep(0.05)
            if not first and out.exists() and out.stat().st_size:
                first, first_size = time.monotonic(), out.stat().st_size
            last = time.monotonic()
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
                peak = max(peak, int(status.partition("VmHWM:")[2].split()[0]))
            except (OSError, IndexError):
                continue
            if out.exists() and out.read_bytes().count(b"\n") == rows:
                break
        said, _ = process.communicate()
        server.communicate("")
    summary: dict[str, Any] = json.loads(said)
    assert summary["answered"] == rows, summary
    later = rows * (1 - first_size / out.stat().st_size)
    return {"rows_a_second": later / (last - first), "bytes_a_row": out.stat().st_size / rows, "driver": peak / 1024}


def known(folder: Path, rows: int) -> dict[str, float]:
    """What it takes to know that so many rows are done, and to find those that are not."""
    write(folder / "rows.jsonl", rows)
    read = Rows([str(folder / "rows.jsonl")])
    asking = Asking("openai:gpt-5-mini", prompt="Label: {text}")
    usage = {"prompt_tokens": 60, "completion_tokens": 8, "total_tokens": 68}
    line = {"finish_reason": "stop", "model": "openai:gpt-5-mini", "response_model": "gpt-5-mini", "usage": usage}
    began = time.process_time()
    found = [(key, asked) for block in blocks(read, asking, None, 256) for _, key, asked in block]
    reading = (time.process_time() - began) / rows
    out = folder / f"done-{rows}.jsonl"
    with out.open("w", encoding="utf-8") as file:
        for n, (key, asked) in enumerate(found):
            data = {"key": key, "row": n + 1, "asked": f"{asked}.00000000", "answer": "a label of some words"} | line
            file.write(json.dumps(data | {"cost": 0.00003, "attempts": 1, "seconds": 0.2}) + "\n")
    with Output(folder / f"new-{rows}.jsonl", "00000000") as new:
        began = time.process_time()
        for handed in [pickle.dumps([data] * 256)] * (rows // 256):
            for it in pickle.loads(handed):
                new.answer(it)
        writing = (time.process_time() - began) / rows
    del found
    before, began = memory(), time.process_time()
    with Output(out, "00000000") as output:
        scan = (time.process_time() - began) / rows
        began = time.process_time()
        assert not [*blocks(read, asking, output, 256)]
        resume = (time.process_time() - began) / rows
        held = (memory() - before) / rows
        sent = len(pickle.dumps(output)) / rows
    return {
        "reading": reading * 1e6,
        "writing": writing * 1e6,
        "scan": scan * 1e6,
        "resume": resume * 1e6,
        "held": held,
        "sent": sent,
    }


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as place:
        for workers in (1, 2):
            print(f"{rows:,} rows, {workers} workers with 64 at once, answers after 0.2 s:", flush=True)
            found = run(Path(place), rows, workers)
            print(
                f"  {found['rows_a_second']:.0f} rows/s, {found['bytes_a_row']:.0f} bytes a row, "
                f"{found['driver']:.0f} MiB the process that writes",
                flush=True,
            )
        for count in (10 * rows, 40 * rows):
            it = known(Path(place), count)
            print(f"{count:,} rows, of which all are done, in microseconds of CPU and bytes for each:")
            print(f"  {it['reading']:.1f} us to read it, {it['writing']:.1f} us to write its answer,")
            print(f"  {it['scan']:.1f} us to read that again,")
            print(f"  {it['resume']:.1f} us to see that it is done; {it['held']:.0f} bytes held, {it['sent']:.0f} sent")


if __name__ == "__main__":
    main()
