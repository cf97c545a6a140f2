"""A provider of a wire that is nobody's passes the suite, on a server that speaks it by its author's script."""

from __future__ import annotations

from llmring.testing.conformance import ProviderConformance

from .acme import AcmeProvider, AcmeWire


class TestAcme(ProviderConformance):
    provider = AcmeProvider
    wire = AcmeWire()
