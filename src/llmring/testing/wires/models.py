"""What the server says of models: listings, and single ones, each in its vendor's form.

What a model can do is told in uniform terms (`Facts`), which each form words in its own way, as far as it has words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["FACTS", "Facts", "listing"]

Facts = Mapping[str, Any]

_ABILITIES = ("tools", "parallel_tools", "images", "documents", "audio", "structured_output", "reasoning")
FACTS: Mapping[str, type] = {
    **dict.fromkeys(_ABILITIES, bool),
    "reasoning_efforts": list,
    "context_window": int,
    "max_output_tokens": int,
}
"""The facts that a model may be described by."""

_VERSION = "0.12.6"
"""Of the Ollama that is played."""
_CREATED = 1735689600
"""2025-01-01."""
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def listing(
    wire: str,
    path: str,
    asked: str,
    models: Mapping[str, list[str]],
    described: Mapping[str, Facts],
    capabilities: Mapping[str, list[str]],
) -> Any:
    """The answer to a request that is not a chat, `None` where there is nothing at that path.

    Args:
        wire: whose API is asked.
        path: of the request; where it begins with the name of a server or a vendor, that one is played.
        asked: the model that the body names.
        models: names, by vendor.
        described: facts, by model.
        capabilities: of Ollama's models, in its own words.
    """
    vendor = wire.partition("-")[0]
    names = [*models[vendor]]
    elsewhere = {name.removesuffix(":latest") for listed in models.values() for name in listed}
    names += [name for name in described if name.removesuffix(":latest") not in elsewhere]
    if vendor == "ollama":
        return _ollama(path, names, asked, described, capabilities)
    first = path.lstrip("/").partition("/")[0]
    if vendor == "openai" and path.endswith("/props"):
        return _props(described.get(names[0], {}) if names else {}, names)
    if vendor == "openai" and path.endswith("/api/v0/models"):
        return {"object": "list", "data": [_lmstudio(name, described.get(name, {})) for name in names]}
    if vendor == "openai" and path.endswith("/language-models"):
        return {"models": [_xai(name, described.get(name, {})) for name in names]}
    form = _FORMS.get(first, _openai) if vendor == "openai" else _FORMS[vendor]
    if not path.endswith("/models"):
        name = path.rpartition("/models/")[2]
        return form(name, described.get(name, {})) if name in names else None
    entries = [form(name, described.get(name, {})) for name in names]
    if vendor == "openai":
        return {"object": "list", "data": entries}
    if vendor == "gemini":
        return {"models": entries}
    ids: list[str | None] = [*names] or [None]
    return {"data": entries, "has_more": False, "first_id": ids[0], "last_id": ids[-1]}


def _openai(name: str, facts: Facts) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "practice"}


def _gemini(name: str, facts: Facts) -> dict[str, Any]:
    limits = {
        "inputTokenLimit": facts.get("context_window", 1048576),
        "outputTokenLimit": facts.get("max_output_tokens", 65536),
    }
    verbs = {"supportedGenerationMethods": ["generateContent", "countTokens"]}
    thinking = {"thinking": facts["reasoning"]} if "reasoning" in facts else {}
    return {"name": f"models/{name}", "version": "001", "displayName": name, **limits, **verbs, **thinking}


def _anthropic(name: str, facts: Facts) -> dict[str, Any]:
    dates = {"created_at": "2025-01-01T00:00:00Z", "lifecycle": "active"}
    limits = {
        "max_input_tokens": facts.get("context_window", 200000),
        "max_tokens": facts.get("max_output_tokens", 64000),
    }
    model = {"type": "model", "id": name, "display_name": name, **dates, **limits}
    return model | {"capabilities": _of_anthropic(facts)} if facts else model


def _of_anthropic(facts: Facts) -> dict[str, Any]:
    """https://platform.claude.com/docs/en/api/models: every key is always there."""

    def said(value: object) -> dict[str, bool]:
        return {"supported": bool(value)}

    efforts = facts.get("reasoning_efforts", ())
    thinks = facts.get("reasoning")
    return {
        "batch": said(True),
        "citations": said(facts.get("documents")),
        "code_execution": said(False),
        "context_management": said(False),
        "effort": {**said(efforts), **{effort: said(effort in efforts) for effort in _EFFORTS}},
        "image_input": said(facts.get("images")),
        "pdf_input": said(facts.get("documents")),
        "server_tools": {**said(False), "code_execution": said(False), "web_search": said(False)},
        "structured_outputs": said(facts.get("structured_output")),
        "thinking": {**said(thinks), "types": {"adaptive": said(thinks), "enabled": said(thinks)}},
    }


def _openrouter(name: str, facts: Facts) -> dict[str, Any]:
    """https://openrouter.ai/docs/models, "Model Object Schema"."""
    heard = {"image": "images", "file": "documents", "audio": "audio"}
    words = {
        "tools": "tools",
        "tool_choice": "tools",
        "parallel_tool_calls": "parallel_tools",
        "structured_outputs": "structured_output",
        "reasoning": "reasoning",
        "include_reasoning": "reasoning",
    }
    taken = ["max_tokens", "response_format", "stop", "temperature", "top_p"]
    return {
        "id": name,
        "canonical_slug": name,
        "name": name,
        "created": _CREATED,
        "description": "A model to practise on",
        "context_length": facts.get("context_window", 131072),
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text", *(word for word, fact in heard.items() if facts.get(fact))],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": "0", "completion": "0"},
        "top_provider": {
            "context_length": facts.get("context_window", 131072),
            "max_completion_tokens": facts.get("max_output_tokens"),
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": sorted([*taken, *(word for word, fact in words.items() if facts.get(fact))]),
    }


def _vllm(name: str, facts: Facts) -> dict[str, Any]:
    """Its `ModelCard`."""
    window = facts.get("context_window", 32768)
    return {**_openai(name, facts), "owned_by": "vllm", "root": name, "parent": None, "max_model_len": window}


def _mistral(name: str, facts: Facts) -> dict[str, Any]:
    """https://docs.mistral.ai/api/endpoint/models: `BaseModelCard`."""
    able = {
        "completion_chat": True,
        "completion_fim": False,
        "function_calling": bool(facts.get("tools", True)),
        "fine_tuning": False,
        "vision": bool(facts.get("images")),
        "audio": bool(facts.get("audio")),
        "reasoning": bool(facts.get("reasoning")),
        "classification": False,
    }
    window = facts.get("context_window", 131072)
    aliases = [f"{name}-latest"]
    return {
        **_openai(name, facts),
        "type": "base",
        "capabilities": able,
        "max_context_length": window,
        "aliases": aliases,
    }


def _groq(name: str, facts: Facts) -> dict[str, Any]:
    """https://console.groq.com/docs/api-reference#models."""
    limits = {
        "context_window": facts.get("context_window", 131072),
        "max_completion_tokens": facts.get("max_output_tokens", 65536),
    }
    return {**_openai(name, facts), "active": True, "public_apps": None, **limits}


def _llamacpp(name: str, facts: Facts) -> dict[str, Any]:
    """Its server's README, "GET /v1/models"."""
    window = facts.get("context_window", 4096)
    meta = {"vocab_type": 2, "n_vocab": 128256, "n_ctx_train": 131072, "n_ctx": window, "n_embd": 4096}
    return {**_openai(name, facts), "owned_by": "llamacpp", "meta": meta}


def _props(facts: Facts, names: list[str]) -> dict[str, Any]:
    """Its server's README, "GET /props"."""
    tools = bool(facts.get("tools", True))
    return {
        "default_generation_settings": {"id": 0, "n_ctx": facts.get("context_window", 4096), "params": {}},
        "total_slots": 1,
        "model_alias": names[0] if names else "",
        "model_path": "model.gguf",
        "modalities": {"vision": bool(facts.get("images")), "audio": bool(facts.get("audio"))},
        "chat_template": "{{ messages }}",
        "chat_template_caps": {
            "supports_tools": tools,
            "supports_tool_calls": tools,
            "supports_parallel_tool_calls": bool(facts.get("parallel_tools")),
            "supports_system_role": True,
        },
        "build_info": "b0-practice",
        "is_sleeping": False,
    }


def _lmstudio(name: str, facts: Facts) -> dict[str, Any]:
    """https://lmstudio.ai/docs/developer/rest/endpoints, "GET /api/v0/models"."""
    return {
        "id": name,
        "object": "model",
        "type": "vlm" if facts.get("images") else "llm",
        "publisher": "practice",
        "arch": "llama",
        "state": "loaded",
        "max_context_length": 131072,
        "loaded_context_length": facts.get("context_window", 4096),
        "capabilities": ["tool_use"] if facts.get("tools", True) else [],
    }


def _xai(name: str, facts: Facts) -> dict[str, Any]:
    """https://docs.x.ai/developers/rest-api-reference/inference/models, "List language models"."""
    heard = ["text", *(["image"] if facts.get("images") else [])]
    modalities = {"input_modalities": heard, "output_modalities": ["text"]}
    return {**_openai(name, facts), "version": "1.0", "aliases": [f"{name}-latest"], **modalities}


_FORMS: Mapping[str, Callable[[str, Facts], dict[str, Any]]] = {
    "anthropic": _anthropic,
    "gemini": _gemini,
    "groq": _groq,
    "llamacpp": _llamacpp,
    "mistral": _mistral,
    "openrouter": _openrouter,
    "vllm": _vllm,
}


def _ollama(
    path: str, names: list[str], asked: str, described: Mapping[str, Facts], capabilities: Mapping[str, list[str]]
) -> Any:
    if path.endswith("/version"):
        return {"version": _VERSION}
    details = {"format": "gguf", "family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
    if path.endswith(("/tags", "/ps")):
        common = {"modified_at": "2025-01-01T00:00:00Z", "size": 2019393189, "digest": "a" * 64}
        return {"models": [{"name": model, "model": model, **common, "details": details} for model in names]}
    name = next((it for it in names if asked in (it, it.partition(":")[0])), None)
    if not path.endswith("/show") or name is None:
        return None
    facts = described.get(name) or described.get(name.removesuffix(":latest")) or {}
    words = {"tools": "tools", "images": "vision", "reasoning": "thinking"}
    able = ["completion", *(word for fact, word in words.items() if facts.get(fact, fact == "tools"))]
    info = {"general.architecture": "llama", "llama.context_length": facts.get("context_window", 131072)}
    return {
        "modelfile": "FROM llama",
        "parameters": 'stop                           "<|eot_id|>"',
        "template": "{{ .Prompt }}",
        "details": details,
        "model_info": info,
        "capabilities": capabilities.get(name, able),
    }
