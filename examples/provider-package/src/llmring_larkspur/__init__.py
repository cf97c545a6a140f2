"""Larkspur, a vendor that is made up, for llmring: `larkspur:lark-2` once the package is installed."""

from .provider import Larkspur

__all__ = ["Larkspur"]
