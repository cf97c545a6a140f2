"""The providers that need no declaration: four SDKs, and the vendors and servers that one of them speaks to.

A vendor is a row of data here. `[providers.NAME]` in a lockfile overrides any field of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ALSO_CALLED", "BUILT_IN", "SDKS", "BuiltIn"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A provider that needs no declaration.

    Attributes:
        package: the SDK's own package, as pip knows it.
        module, adapter: where its adapter is.
        key_variables, address_variables: the environment variables that may hold the key and the base URL.
        header_variable: the one that holds headers, a line each, which the SDK sends with every request.
        needs_key: whether it is of any use without a key.
        base_url: where it is; `None` where that is the SDK's own knowledge, or the environment's.
        home: where the SDK goes if it is told nothing; `None` for what is no SDK.
        address_path: what follows the value of an address variable.
        port, cloud: for an address that names no scheme (`addresses.completed`); `None` where it needs one.
        hosts: further hosts that are the vendor's own, with all that is below them.
        local: whether it is a server of one's own, with models that nobody bills for.
        start, fetch: the command that starts such a server, and the one that gets it a model, whose name follows.
        lists_to_all: whether it lists its models to anybody, so that the listing proves no key.
    """

    package: str
    module: str
    adapter: str
    key_variables: tuple[str, ...] = ()
    address_variables: tuple[str, ...] = ()
    header_variable: str | None = None
    needs_key: bool = True
    base_url: str | None = None
    home: str | None = None
    address_path: str = ""
    port: int | None = None
    cloud: str = ""
    hosts: tuple[str, ...] = ()
    local: bool = False
    start: str = ""
    fetch: str = ""
    lists_to_all: bool = False


SDKS: Mapping[str, BuiltIn] = {
    "openai": BuiltIn(
        "openai",
        "openai",
        "OpenAIProvider",
        ("OPENAI_API_KEY",),
        ("OPENAI_BASE_URL",),
        "OPENAI_CUSTOM_HEADERS",
        home="https://api.openai.com/v1",
        hosts=("api.openai.com",),
    ),
    "anthropic": BuiltIn(
        "anthropic",
        "anthropic",
        "AnthropicProvider",
        ("ANTHROPIC_API_KEY",),
        ("ANTHROPIC_BASE_URL",),
        "ANTHROPIC_CUSTOM_HEADERS",
        home="https://api.anthropic.com",
        hosts=("api.anthropic.com",),
    ),
    "google": BuiltIn(
        "google-genai",
        "google",
        "GoogleProvider",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_API_KEY"),
        ("GOOGLE_GEMINI_BASE_URL",),
        home="https://generativelanguage.googleapis.com",
        hosts=("googleapis.com",),
    ),
    "ollama": BuiltIn(
        "ollama",
        "ollama",
        "OllamaProvider",
        ("OLLAMA_API_KEY",),
        ("OLLAMA_HOST", "OLLAMA_BASE_URL"),
        home="http://127.0.0.1:11434",
        port=11434,  # docs.ollama.com/faq, and envconfig.Host in its source for the forms of OLLAMA_HOST
        cloud="ollama.com",
        needs_key=False,
        local=True,
        start="ollama serve",
        fetch="ollama pull",
    ),
}
"""Those that have an SDK of their own; what `sdk` in a lockfile may name."""


def _compatible(base_url: str, *key_variables: str, **more: Any) -> BuiltIn:
    """What the openai SDK speaks to."""
    return BuiltIn("openai", "openai", "OpenAIProvider", key_variables, base_url=base_url, **more)


def _server(port: int, *key_variables: str, **more: Any) -> BuiltIn:
    """A server on this machine, at the port that it takes if not told another."""
    return _compatible(f"http://127.0.0.1:{port}/v1", *key_variables, needs_key=False, local=True, **more)


BUILT_IN: Mapping[str, BuiltIn] = {
    **SDKS,
    "groq": _compatible("https://api.groq.com/openai/v1", "GROQ_API_KEY"),  # console.groq.com/docs/openai
    "openrouter": _compatible(  # openrouter.ai/docs/quickstart
        "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", lists_to_all=True
    ),
    "deepseek": _compatible("https://api.deepseek.com", "DEEPSEEK_API_KEY"),  # api-docs.deepseek.com
    "mistral": _compatible("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),  # docs.mistral.ai, migration guides
    "together": _compatible("https://api.together.ai/v1", "TOGETHER_API_KEY"),  # docs.together.ai, OpenAI compatibility
    "fireworks": _compatible(  # docs.fireworks.ai/tools-sdks/openai-compatibility
        "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"
    ),
    "xai": _compatible("https://api.x.ai/v1", "XAI_API_KEY"),  # docs.x.ai/api/integrations
    "cerebras": _compatible("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),  # inference-docs.cerebras.ai
    "azure": BuiltIn(  # learn.microsoft.com/azure/foundry/openai/api-version-lifecycle: the v1 API
        "openai",
        "openai",
        "OpenAIProvider",
        ("AZURE_OPENAI_API_KEY",),
        ("AZURE_OPENAI_ENDPOINT",),
        address_path="/openai/v1/",
        hosts=("openai.azure.com", "services.ai.azure.com"),
    ),
    "vllm": _server(8000, "VLLM_API_KEY"),  # docs.vllm.ai, OpenAI-compatible server
    "llamacpp": _server(8080, "LLAMA_API_KEY", lists_to_all=True),  # llama-server --help
    "lmstudio": _server(1234, "LM_API_TOKEN"),  # lmstudio.ai/docs/developer
}
"""By the name that `provider:model` begins with."""

ALSO_CALLED: Mapping[str, str] = {
    "gemini": "google",
    "google-genai": "google",
    "claude": "anthropic",
    "gpt": "openai",
    "grok": "xai",
    "x-ai": "xai",
    "mistralai": "mistral",
    "togetherai": "together",
    "together-ai": "together",
    "together_ai": "together",
    "fireworks-ai": "fireworks",
    "fireworks_ai": "fireworks",
    "azure-openai": "azure",
    "azure_openai": "azure",
    "llama.cpp": "llamacpp",
    "llama-cpp": "llamacpp",
    "llama_cpp": "llamacpp",
    "llama-server": "llamacpp",
    "lm-studio": "lmstudio",
    "lm_studio": "lmstudio",
}
"""What people call them, too."""
