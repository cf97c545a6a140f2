"""The data files: each field is one that is read, each row says where it is from, and nothing stands there twice."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

import llmring
from llmring.catalog.naming import billed_by, listed_as, served_by, vendor_of
from llmring.counting.scripts import KINDS
from llmring.dialects import ChatDialect, Dialect
from llmring.dialects import Words as DialectWords
from llmring.exceptions import ConfigurationError, ProviderResponseError
from llmring.providers.counting import endpoint_of
from llmring.providers.errors import error_of_answer
from llmring.schemas import LLMRequest
from llmring.vendors import BUILT_IN, FACTS, SDKS, VENDORS, also_called, load, of_vendors
from llmring.wire.chat_requests import dialect_of
from llmring.wire.errors import Meaning, WireError, meaning_of, read_error

ROOT = Path(llmring.__file__).parent
FOLDERS = ("llmring", "catalog", "counting")
FILES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.json") if path.parent.name in FOLDERS)


def _distinct(values: list[Any]) -> list[Any]:
    assert len({*map(str, values)}) == len(values), f"twice in {values}"
    return values


Text = Annotated[str, Field(min_length=1, pattern=r"^\S(.*\S)?$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Host = Annotated[str, Field(pattern=r"^(?:[a-z0-9-]+\.)+[a-z]{2,}$")]
Url = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:\d+)?(/[\w./-]*[\w/])?$")]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
Status = Annotated[int, Field(ge=400, lt=600)]
Lower = Annotated[str, Field(min_length=1), AfterValidator(lambda said: said if said == said.lower() else 1 / 0)]
Source = Annotated[str, Field(min_length=5)]


class Row(BaseModel):
    """A row of a data file: unknown fields are refused, and so is a value that a list has twice."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: Source

    @model_validator(mode="after")
    def _says_nothing_twice(self) -> Row:
        for value in vars(self).values():
            if isinstance(value, list):
                _distinct(value)
        return self


class Chat(Row):
    max_tokens: Text | None = None
    seed: Text | None = None
    call_id: Annotated[str, AfterValidator(lambda said: said if re.compile(said) else "")] | None = None
    id_length: Annotated[int, Field(gt=0)] | None = None
    usage: list[Annotated[str, Field(pattern=r"^\w+(\.\w+)*$")]] = []
    thoughts: list[Text] = []
    refuses: list[Text] = []
    custom_tools: bool | None = None
    reasoning: Text | None = None
    foreign_call: dict[str, Any] | None = None
    service_tiers: list[Name] | None = None
    think_tags: bool | None = None
    stream_options: bool | None = None
    schemas: bool | None = None
    silent_turns: bool | None = None
    by_name: bool | None = None


class Prices(Row):
    listed_as: Name | None = None
    prefixes: list[Name] = []
    open_weights: list[Annotated[str, Field(pattern=r"^[a-z-]*$")]] = []
    not_served: Text | None = None


class Words(Row):
    means: Meaning
    codes: list[Lower] = []
    words: list[Lower] = []
    statuses: list[Status] = []
    unless: list[Annotated[str, Field(pattern=r"^[a-z_]+$")]] = []

    @model_validator(mode="after")
    def _says_something(self) -> Words:
        assert self.codes or self.words
        assert all(words.strip("* ") for words in self.words)
        return self


Path_ = Annotated[str, Field(pattern=r"^[\w*./-]+$")]


class Reading(BaseModel):
    """What is asked of a value that stands at a path."""

    model_config = ConfigDict(extra="forbid", strict=True)

    at: Path_
    has: Text | Annotated[list[Text], Field(min_length=1)] | None = None
    is_: Annotated[Text | bool | None, Field(alias="is")] = None
    only: Literal[True] | None = None
    keys: Text | None = None
    match: Annotated[str, AfterValidator(lambda said: said if re.compile(said).groups == 1 else "")] | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Reading:
        assert sum(it is not None for it in (self.has, self.is_, self.keys, self.match)) == 1
        return self


FactName = Annotated[str, AfterValidator(lambda name: name if name in FACTS else 1 / 0)]
Readings = Path_ | Reading | Annotated[list[Path_ | Reading], Field(min_length=2)]


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    path: Annotated[str, Field(pattern=r"^(?:\.\./)?[\w{}/-]+$")] | None = None
    call: Annotated[str, Field(pattern=r"^\w+(?:\.\w+)*$")] | None = None
    in_path: Literal[True] | None = None
    list_: Annotated[Name | None, Field(alias="list")] = None
    alone: Literal[True] | None = None
    facts: Annotated[dict[FactName, Readings], Field(min_length=1)]

    @model_validator(mode="after")
    def _asks_in_one_way(self) -> Ask:
        assert (self.path is None) != (self.call is None)
        assert not self.alone or self.list_
        assert not self.in_path or self.call
        return self


def _of_its_kind(facts: dict[str, Any]) -> dict[str, Any]:
    for name, value in facts.items():
        assert value is None or type(value) is FACTS[name], name
    return facts


Said = Annotated[dict[FactName, Any], Field(min_length=1), AfterValidator(_of_its_kind)]


class Abilities(Row):
    ask: list[Ask] = []
    any_host: Literal[True] | None = None
    always: Said = Field(default_factory=dict)
    made_up_for: list[FactName] = []
    own_names: Literal[True] | None = None
    window_at: Path_ | None = None


class Counts(Row):
    wire: Literal["anthropic", "gemini", "openai-chat", "openai-responses"]
    everywhere: bool = False
    path: Annotated[str, Field(pattern=r"^(/\.\.)?(/[a-z0-9_-]+)+$")] | None = None
    within: Text | None = None
    media: Literal[False] | None = None
    fields: Annotated[list[Text], Field(min_length=2)]
    tokens: Annotated[list[Text], Field(min_length=1)]


Types = Annotated[list[Annotated[str, Field(pattern=r"^[a-z]+/([a-z-]+)?$")]], Field(min_length=1)]


class Takes(BaseModel):
    """Which types of files a wire has by their ids."""

    model_config = ConfigDict(extra="forbid", strict=True)

    types: Annotated[Types, AfterValidator(_distinct)]
    at_home: Literal[True] | None = None


class Files(Row):
    protocol: Literal["multipart", "resumable"]
    upload: Annotated[str, Field(pattern=r"^\w+\.\w+$")]
    get: Annotated[str, Field(pattern=r"^\w+\.\w+$")] | None = None
    delete: Annotated[str, Field(pattern=r"^\w+\.\w+$")]
    options: dict[Name, Text] = {}
    elsewhere: Text | None = None
    wires: Annotated[
        dict[Literal["anthropic", "gemini", "openai-chat", "openai-responses"], Takes], Field(min_length=1)
    ]
    text_as: Literal["text/plain"] | None = None
    lifetime: Annotated[int, Field(gt=0)] | None = None
    gone: Annotated[list[Lower], Field(min_length=1)]

    @model_validator(mode="after")
    def _says_how_far_it_is(self) -> Files:
        assert (self.protocol == "resumable") == (self.get is not None)
        return self


class Asked(BaseModel):
    """What a line of a batch says of where it goes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Annotated[str, Field(pattern=r"^(/[a-z0-9_]+)+$")] | None = None


class Batch(Row):
    protocol: Literal["lines", "array", "jobs"]
    wires: Annotated[
        dict[Literal["anthropic", "gemini", "openai-chat", "openai-responses"], Asked], Field(min_length=1)
    ]
    upload: dict[Name, Text] = {}
    requests: Annotated[int, Field(gt=0, le=100_000)]
    bytes: Annotated[int, Field(gt=0)]
    hours: Annotated[int, Field(gt=0)]
    share: Annotated[float, Field(gt=0, le=1)]
    full: list[Lower] = []


class Vendor(BaseModel):
    """A vendor's row: a `Dialect`, and what the catalogue knows of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: Source | None = None
    sdk: Literal["openai", "anthropic", "google", "ollama"] | None = None
    package: Name | None = None
    adapter: Annotated[str, Field(pattern=r"^[A-Z]\w+Provider$")] | None = None
    key_variables: list[Variable] = []
    address_variables: list[Variable] = []
    header_variable: Variable | None = None
    needs_key: bool = True
    base_url: Url | None = None
    home: Url | None = None
    address_path: Annotated[str, Field(pattern=r"^/.*/$")] | None = None
    port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    cloud: Host | None = None
    hosts: Annotated[list[Host], AfterValidator(_distinct)] = []
    api: Literal["chat", "responses"] | None = None
    api_version: Text | None = None
    local: bool = False
    start: Text | None = None
    fetch: Text | None = None
    lists_to_all: bool = False
    also_called: Annotated[list[Name], AfterValidator(_distinct)] = []
    chat: Chat | None = None
    counting: Counts | None = None
    files: Files | None = None
    batch: Batch | None = None
    prices: Prices | None = None
    words: Annotated[list[Words], Field(min_length=1)] | None = None
    statuses: Annotated[dict[Lower, Status], Field(min_length=1)] | None = None
    parameters: (
        Annotated[
            dict[str, Annotated[list[Lower], Field(min_length=1), AfterValidator(_distinct)]], Field(min_length=1)
        ]
        | None
    ) = None
    sources: dict[Literal["statuses", "parameters"], Source] = {}
    capabilities: Abilities | None = None

    @model_validator(mode="after")
    def _says_where_it_is_from(self) -> Vendor:
        assert (self.sdk is None) == (self.source is None)
        assert (self.package is None) == (self.adapter is None)
        assert set(self.sources) == {it for it in ("statuses", "parameters") if getattr(self, it)}
        if self.sdk is not None:
            assert self.home or self.base_url or self.address_variables, "nobody knows where it is"
            assert self.key_variables
        elif self.chat is not None:
            assert self.hosts, "nobody knows whose ways these are"
        return self


Model = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9./-]*[a-z0-9]$")]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(lambda day: str(date.fromisoformat(day)))]


class Roles(Row):
    fast: Model
    balanced: Model
    deep: Model


class Limits(Row):
    max_output_tokens: dict[Model, Annotated[int, Field(ge=1024, le=4_000_000)]]


class Recorded(Row):
    recorded: Day
    unlike: list[Name] = []
    of: Annotated[list[dict[str, Any]], Field(min_length=1)]

    @model_validator(mode="after")
    def _says_something_of_models(self) -> Recorded:
        for row in self.of:
            facts = {**row}
            TypeAdapter(list[Model]).validate_python(_distinct(facts.pop("models")))
            TypeAdapter(Said).validate_python(facts)
        said = [(name, fact) for row in self.of for name in row["models"] for fact in row if fact != "models"]
        _distinct(said)
        return self


class Retired(Row):
    on: dict[Day, Annotated[list[Model], Field(min_length=1), AfterValidator(_distinct)]]

    @model_validator(mode="after")
    def _ends_once_and_in_order(self) -> Retired:
        _distinct([name for names in self.on.values() for name in names])
        assert [*self.on] == sorted(self.on)
        return self


class OtherUses(Row):
    by_word: dict[Annotated[str, Field(pattern=r"^[a-z]+$")], Text]


class Models(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    roles: Roles | None = None
    limits: Limits | None = None
    other_uses: OtherUses | None = None
    abilities: Recorded | None = None
    retired: Retired | None = None


OTHERS = {"prices", "capabilities", "counting", "files", "batch"}
"""Parts of a vendor's row that are none of a dialect's."""


class Media(Row):
    tokens: Annotated[list[float | None], Field(min_length=3, max_length=3)]

    @model_validator(mode="after")
    def _grows(self) -> Media:
        low, likely, most = self.tokens
        assert low is not None
        assert likely is not None
        assert 0 <= low <= likely <= (most or likely)
        return self


class Spread(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    low: Annotated[float, Field(gt=0, le=1)]
    high: Annotated[float, Field(ge=1, lt=5)]
    hidden: Annotated[float, Field(ge=0, lt=5000)]


class Measured(BaseModel):
    """Written by `python -m benchmarks.counting --write`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kinds: dict[str, Annotated[float, Field(gt=0, lt=5)]]
    scale: Annotated[float, Field(gt=0.5, lt=2)]
    tool_text: float
    form_text: float
    turn: float
    call: float
    tools: float
    form: float
    request: float
    spread: Spread
    counted: Spread | None = None

    @model_validator(mode="after")
    def _knows_every_kind(self) -> Measured:
        assert set(self.kinds) == set(KINDS)
        return self


class Ratios(Row):
    models: list[Text]
    shared: bool
    media: dict[Literal["image", "document", "audio"], Media]
    measured: Measured


FORMS: dict[str, Any] = {
    "vendors.json": dict[Name, Vendor],
    "catalog/models.json": dict[Name, Models],
    "counting/ratios.json": dict[Name, Ratios],
}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _distinct([key for key, _ in pairs])
    return dict(pairs)


def test_each_file_has_a_form() -> None:
    assert set(FILES) == set(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_a_file_has_its_form(name: str) -> None:
    written = json.loads((ROOT / name).read_text(encoding="utf-8"), object_pairs_hook=_once)
    TypeAdapter(FORMS[name]).validate_python(written)
    assert written == load(name)


def test_no_two_vendors_are_called_alike() -> None:
    names = [*load("vendors.json")]
    names += also_called()
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_no_two_vendors_are_found_alike_on_price_lists() -> None:
    rows = of_vendors("prices")
    _distinct([row.get("listed_as", name) for name, row in rows.items()])
    _distinct([first for row in rows.values() for first in row.get("prefixes", ())])
    for name, row in rows.items():
        there = row.get("listed_as", name)
        assert (listed_as(name), vendor_of(there)) == (there, name)
        for first in row.get("prefixes", ()):
            assert served_by(f"{first.upper()}/m") == (there, "m")
        for begin in row.get("open_weights", ()):
            assert all(billed_by(f"{first}/{begin}-m") is None for first in row["prefixes"])


def test_no_two_rows_mean_the_same_words() -> None:
    rows = [row for rows in of_vendors("words").values() for row in rows]
    said = [(word, row["means"]) for row in rows for word in (*row.get("codes", ()), *row.get("words", ()))]
    assert [it for it, count in Counter(said).items() if count > 1] == []


def test_each_word_is_known_by_its_row() -> None:
    for rows in of_vendors("words").values():
        for row in rows:
            for status in row.get("statuses") or [400]:
                for code in row.get("codes", ()):
                    assert meaning_of(WireError("", status, (code,))) == row["means"]
                for words in row.get("words", ()):
                    message = words.replace("*", " it ").rstrip("\n")
                    assert meaning_of(WireError(f"Oh: {message}", status)) is not None


def test_each_word_for_a_status_is_read() -> None:
    for row in of_vendors("statuses").values():
        for word, status in row.items():
            assert read_error({"error": {"message": "Oh.", "type": word}}).status == status


def test_each_word_for_a_parameter_is_read() -> None:
    for row in of_vendors("parameters").values():
        for parameter, words in row.items():
            assert parameter in LLMRequest.model_fields
            for word in words:
                failure = read_error({"error": {"message": f"{word}: not here"}}, 400)
                error = error_of_answer(failure, provider="p", model="m", key_source="K", sent=frozenset({parameter}))
                assert isinstance(error, ProviderResponseError)
                assert error.parameter == parameter


def test_no_word_stands_for_two_statuses() -> None:
    words = [word for row in of_vendors("statuses").values() for word in row]
    assert [word for word, count in Counter(words).items() if count > 1] == []


def test_each_row_is_a_dialect_and_each_field_is_read() -> None:
    for name, row in load("vendors.json").items():
        dialect = VENDORS[name]
        for key, value in row.items():
            if key in OTHERS:
                continue
            found = getattr(dialect, key)
            if key == "chat":
                assert {it: getattr(found, it) for it in value} == {it: _frozen(said) for it, said in value.items()} | (
                    {"call_id": re.compile(value["call_id"])} if "call_id" in value else {}
                )
            elif key == "words":
                for it, said in zip(found, value, strict=True):
                    assert {field: getattr(it, field) for field in said} == {f: _frozen(v) for f, v in said.items()}
            elif key == "parameters":
                assert found == {it: tuple(said) for it, said in value.items()}
            else:
                assert found == _frozen(value)
    assert {*Vendor.model_fields} - OTHERS == {*Dialect.__dataclass_fields__} - {"name", "_"}
    assert {*Chat.model_fields} == {*ChatDialect.__dataclass_fields__} - {"_"}
    assert {*Words.model_fields} == {*DialectWords.__dataclass_fields__} - {"_"}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def test_which_rows_are_providers() -> None:
    assert [*BUILT_IN] == [*of_vendors("sdk")]
    assert {name: it.sdk for name, it in SDKS.items()} == {name: name for name in of_vendors("package")}
    assert {it.sdk for it in BUILT_IN.values()} <= {*SDKS}


def test_each_field_of_a_dialect_is_read() -> None:
    for name in of_vendors("chat"):
        vendor = VENDORS[name]
        for host in vendor.hosts:
            assert dialect_of(f"api.{host}", "gateway") == dialect_of(host, "gateway") == vendor.chat
        named = dialect_of("gateway.invalid", name)
        assert vendor.chat is not None
        assert named == (vendor.chat if vendor.chat.by_name else ChatDialect())


def test_each_counting_endpoint_is_found_and_read() -> None:
    for name, row in of_vendors("counting").items():
        endpoint = endpoint_of(row["wire"], name)
        assert endpoint is not None
        assert (endpoint.path, endpoint.within) == (row.get("path", ""), row.get("within"))
        assert (endpoint.fields, endpoint.tokens) == (frozenset(row["fields"]), tuple(row["tokens"]))
        for host in VENDORS[name].hosts:
            assert endpoint_of(row["wire"], "gateway", host) == endpoint
        elsewhere = replace(endpoint, media=False) if row.get("everywhere") else None
        assert endpoint_of(row["wire"], "gateway", "gateway.invalid") == elsewhere
    assert endpoint_of("ollama", "ollama") is None


def test_the_family_of_models_that_are_not_known_is_the_last() -> None:
    *known, others = load("counting/ratios.json").values()
    assert others["models"] == []
    assert all(row["models"] for row in known)
    assert all({*row["media"]} == {"image", "document", "audio"} for row in (*known, others))


def test_a_vendor_is_known_by_what_people_call_it() -> None:
    assert dialect_of("gateway.invalid", "gemini").foreign_call is not None
    assert dialect_of("gateway.invalid", "gemini") == dialect_of("gateway.invalid", "google")
    assert dialect_of("gateway.invalid", "gpt") == dialect_of("gateway.invalid", "openai") == ChatDialect()


@pytest.mark.parametrize("row", ["source", "sdk", "nothing"])
def test_what_cannot_stand_in_the_file_is_refused(row: str) -> None:
    broken = json.loads((ROOT / "vendors.json").read_text(encoding="utf-8"))
    groq = broken["groq"]
    if row == "nothing":
        groq["nothing"] = "?"
        with pytest.raises(ConfigurationError, match="'groq' has no field \"nothing\""):
            Dialect.from_data("groq", {key: value for key, value in groq.items() if key not in OTHERS})
    else:
        del groq[row]
    with pytest.raises(ValueError, match="groq"):
        TypeAdapter(FORMS["vendors.json"]).validate_python(broken)


def test_the_data_is_found_in_a_zip_file(tmp_path: Path) -> None:
    """As zipapp and pex make one of a program and its packages."""
    package = Path(llmring.__file__).parent
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in package.rglob("*"):
            if path.suffix in (".py", ".json"):
                file.write(path, path.relative_to(package.parent))
    program = (
        "import llmring; from llmring import catalog; from llmring.lockfile.rendering import rendered\n"
        f"assert llmring.__file__.startswith({str(packed)!r}), llmring.__file__\n"
        "from llmring.vendors import BUILT_IN, load\n"
        "assert rendered() and BUILT_IN and load('catalog/models.json') and load('testing/wires/fields.json')"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(packed)}, check=True)


def test_the_conventions_of_telemetry_have_their_form_and_their_sources() -> None:
    """Of each metric: what it is, its unit, and the attributes that it must and may have, with their types."""
    found = json.loads((ROOT / "telemetry" / "conventions.json").read_text(encoding="utf-8"))
    assert set(found) == {"sources", "span", "metrics", "older", "own", "providers"}
    assert all(re.fullmatch(r"https://github\.com/open-telemetry/\S+", it) for it in found["sources"].values())
    for part in ("span", "older", "providers"):
        assert found[part]["source"] in found["sources"]
    metrics = {name: row for group in found["metrics"].values() for name, row in group.items()}
    for name, row in metrics.items():
        assert set(row) - {"buckets"} == {"instrument", "unit", "value", "says", "attributes"}, name
        assert row["instrument"] in ("counter", "histogram")
        assert ("buckets" in row) == (row["instrument"] == "histogram")
        assert row["unit"] in ("s", "{token}", "{USD}")
        assert row["value"] in ("int", "double")
    tables = [found["span"]["attributes"], found["own"]["attributes"], *(it["attributes"] for it in metrics.values())]
    for table in tables:
        for name, row in table.items():
            assert re.fullmatch(r"(gen_ai|server|error|llmring)(\.\w+)+", name)
            assert set(row) == {"type", "level"}
            assert row["type"] in ("string", "string[]", "int", "double", "boolean", "any")
            assert row["level"] in ("required", "conditionally_required", "recommended", "opt_in")
    assert set(found["older"]["attributes"]) <= set(found["span"]["attributes"])
