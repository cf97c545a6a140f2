"""What this library costs, beside the bare SDKs and beside reading the bytes and doing nothing.

`make bench`, or `python -m benchmarks`. Everything is measured against a server process of its own on this machine.
"""
