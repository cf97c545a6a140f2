"""Larkspur's provider passes llmring's conformance suite."""

from __future__ import annotations

from larkspur import LarkspurServer
from llmring.testing.conformance import ProviderConformance
from llmring_larkspur import Larkspur


class TestLarkspur(ProviderConformance):
    provider = Larkspur
    wire = LarkspurServer()
