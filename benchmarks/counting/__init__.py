"""How the figures of `llmring.counting` were measured, so that they can be made anew.

`measured.json` holds what was counted, no text of anybody's: of each text how many characters of which kind it has, and
how many tokens each tokenizer makes of it; of each request that a real provider has answered, the same of its
conversation, tools and schema, and how many input tokens the provider has billed.

    python -m benchmarks.counting            # fit the figures to it, and say how far off they are
    python -m benchmarks.counting --write    # and write them into the package
    python -m benchmarks.counting.collect    # count anew; it says what it needs

The texts are the translations of Django's messages in a hundred languages, the sources and docstrings of Python's
standard library, package descriptions, and the longer conversations of the recordings. The tokenizers are OpenAI's
(o200k), Gemini's, Claude's of 2023, Mistral's two and Qwen's. The requests are the recordings of pydantic-ai's tests
(MIT), without those that have media, server-side tools or thinking of earlier turns.
"""
