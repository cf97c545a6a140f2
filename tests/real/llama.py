"""llama.cpp's server with a model of a few hundred kilobytes, whose weights are random: `python -m tests.real.llama`.

It needs the packages of `make real`. The server runs until its standard input ends, so that it cannot outlive whoever
has started it; the first line that it prints is its address.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["CALL", "CONTEXT", "END"]

CONTEXT = 2048
# Tokens of their own, so that a request's `logit_bias` can have the model call, and end.
_MARKS = ("<tool_call>", "</tool_call>")
END, CALL = 2, 3
"""Their ids, of the answer's end and of the first of these."""

_WIDTH, _HEADS, _FEED = 64, 2, 128

# In the form of Hermes and Qwen, which llama.cpp knows: it then makes a grammar for the calls, and reads them.
_TEMPLATE = """
{%- if tools %}<|im_start|>system
# Tools
You are provided with function signatures within <tools></tools> XML tags:
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools>
For each function call, return a json object within <tool_call></tool_call> XML tags:
<tool_call>{"name": <function-name>, "arguments": <args-json-object>}</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.role == 'tool' %}<tool_response>
{{ message.content }}
</tool_response>{% else %}{{ message.content or '' }}{% endif %}
{%- for call in message.tool_calls or [] %}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}""".strip()


def _write_model(path: Path) -> None:
    """Write a model that answers in random letters: one layer of llama's architecture, and a token for each letter."""
    gguf: Any = import_module("gguf")
    np: Any = import_module("numpy")
    letters = [*map(chr, range(33, 127)), "Ġ", "Ċ"]  # a space and a new line, as this kind of tokenizer writes them
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [*special, *_MARKS, *letters, "th"]
    kinds = gguf.TokenType
    types = [kinds.CONTROL] * len(special) + [kinds.USER_DEFINED] * len(_MARKS) + [kinds.NORMAL] * (len(letters) + 1)
    numbers = np.random.default_rng(1)

    def tensor(*shape: int) -> Any:
        return numbers.standard_normal(shape, dtype=np.float32) * 0.05

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_FEED)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(_TEMPLATE)
    ones = np.ones(_WIDTH, dtype=np.float32)
    for name, values in {
        "token_embd": tensor(len(tokens), _WIDTH) * 20,
        "output_norm": ones,
        "output": tensor(len(tokens), _WIDTH),
        "blk.0.attn_norm": ones,
        "blk.0.attn_q": tensor(_WIDTH, _WIDTH),
        "blk.0.attn_k": tensor(_WIDTH, _WIDTH),
        "blk.0.attn_v": tensor(_WIDTH, _WIDTH),
        "blk.0.attn_output": tensor(_WIDTH, _WIDTH),
        "blk.0.ffn_norm": ones,
        "blk.0.ffn_gate": tensor(_FEED, _WIDTH),
        "blk.0.ffn_up": tensor(_FEED, _WIDTH),
        "blk.0.ffn_down": tensor(_WIDTH, _FEED),
    }.items():
        writer.add_tensor(f"{name}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Serve until standard input ends."""
    xllamacpp: Any = import_module("xllamacpp")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.gguf"
        _write_model(path)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.hostnames, params.port = ["127.0.0.1"], 0
        params.n_ctx, params.n_parallel, params.n_gpu_layers = 2 * CONTEXT, 2, 0
        params.ctx_shift = True  # so that an answer need not end
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.endpoint_slots = params.endpoint_metrics = params.use_jinja = True
        params.warmup = False
        server = xllamacpp.Server(params)
        print(server.listening_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
