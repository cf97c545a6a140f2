from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmring.exceptions import AliasNotFoundError, ConfigurationError, LockfileParseError
from llmring.lockfile import Lockfile, bind, create, load, resolve, secrets_in, split_reference
from llmring.references import shown

Write = Callable[..., Path]

BODY = "x" * 40
SHAPED = [
    "sk-" + BODY,
    "sk-" + "proj-" + BODY,
    "sk-" + "ant-api03-" + BODY,
    "AI" + "za" + BODY,
    "gsk" + "_" + BODY,
    "xai" + "-" + BODY,
    "hf" + "_" + BODY,
    "AK" + "IA" + "X" * 16,
    "ey" + "J" + BODY + ".ey" + "J" + BODY,
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "ya29" + "." + BODY,
    "gl" + "pat-" + BODY,
    "xo" + "xb-" + BODY,
    "sk" + "_live_" + BODY,
    "gh" + "p_" + BODY,
    "gh" + "s_" + BODY,
    "https://user:" + "hunter2" + "@localhost/v1",
    "https://localhost/v1?api_key=" + "hunter2hunter2",
]
PLACES = [
    'note = "{}"',
    "# was: {}",
    '[providers.groq]\napi_key_env = "{}"',
    '[providers.groq]\nheaders = {{ X = "Bearer {}" }}',
    '[[profiles.default.bindings]]\nalias = "a"\nmodels = ["openai:gpt-5"]\nparams = {{ user = ["{}"] }}',
    '[metadata]\n"{}" = 1',
]


@pytest.mark.parametrize("key", SHAPED)
@pytest.mark.parametrize("place", PLACES)
def test_what_looks_like_a_key_is_refused_wherever_it_stands(write: Write, key: str, place: str) -> None:
    text = f'version = "1.0"\n{place.format(key)}\n'
    path = write(text)
    with pytest.raises(LockfileParseError, match="holds no secret: put the key in an environment variable") as caught:
        load(path)
    lines = text.splitlines()
    assert caught.value.line is not None
    assert any(part in lines[caught.value.line - 1] for part in (key, key[5:]))
    for part in (BODY, "hunter2", "X" * 16):
        assert part not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "line", "named"),
    [
        ('[providers.groq]\napi_key = "anything"', 3, "providers.groq.api_key"),
        ('[providers.groq]\n"API-Key" = "anything"', 3, "providers.groq.API-Key"),
        ('[providers.groq]\nopenai_api_key = "anything"', 3, "providers.groq.openai_api_key"),
        ('[providers.groq.headers]\nAuthorization = "Bearer anything"', 3, "providers.groq.headers.Authorization"),
        ('[providers.groq]\nheaders = { x-api-key = "anything" }', 3, "providers.groq.headers.x-api-key"),
        ("[metadata]\nnested.password = 'anything'", 3, "metadata.nested.password"),
        ("token = ['', 'anything']", 2, "token"),
        ("x-token = 'anything'", 2, "x-token"),
        ("session_token = 'anything'", 2, "session_token"),
        ("refreshToken = 'anything'", 2, "refreshToken"),
        ("deploy.passphrase = 'anything'", 2, "deploy.passphrase"),
        ("client.secret = 'anything'", 2, "client.secret"),
        ("note = 'Bearer anything42'", 2, "note"),
        ("note = 'Basic YW55dGhpbmc6eA=='", 2, "note"),
        *(
            (f"[providers.groq.headers]\n{name} = 'anything'", 3, f"providers.groq.headers.{name}")
            for name in (
                *("X-Token", "X-AuthToken", "Proxy-Auth", "Set-Cookie", "Cookie", "X-Session-Cookie", "X-Credential"),
                *("Ocp-Apim-Subscription-Key", "x-functions-key", "X-Key", "apikey", "X-Passphrase", "X-Secret"),
            )
        ),
        *(
            (f"[providers.groq.headers]\nX-Team = '{value}'", 3, "providers.groq.headers.X-Team")
            for value in ("Bearer anything", "basic anything", "Token anything")
        ),
        *(
            (f"[providers.groq]\nsdk = 'openai'\nbase_url = 'http{s}://{login}@host/v1'", 4, "providers.groq.base_url")
            for s in ("", "s")
            for login in ("anything", "anything:", "any@thing:anything")
        ),
        ("[providers.groq.headers]\nX-Token = '$$anything'", 3, "providers.groq.headers.X-Token"),
        ("[providers.groq.headers]\nX-Token = 'any$THING'", 3, "providers.groq.headers.X-Token"),
        ("[providers.groq.headers]\nX-Token = 'Bearer $1anything'", 3, "providers.groq.headers.X-Token"),
        (
            "[[profiles.default.bindings]]\nalias='a'\nmodels=['x:y']\nparams.extra_headers.X-Token = 'anything'",
            5,
            "params.extra_headers.X-Token",
        ),
    ],
)
def test_what_is_named_as_a_secret_is_refused(write: Write, written: str, line: int, named: str) -> None:
    with pytest.raises(LockfileParseError, match="api_key_env = ") as caught:
        load(write(f'version = "1.0"\n{written}\n'))
    assert named in str(caught.value)
    assert "anything" not in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "written",
    [
        '[providers.groq]\napi_key_env = "GROQ_API_KEY"',
        '[providers.groq]\nheaders = { Authorization = "Bearer ${GROQ_API_KEY}", x-api-key = "$KEY" }',
        "[[profiles.default.bindings]]\nalias='token'\nmodels = ['x:y']\nparams = { max_tokens = 5, stop_token = '.' }",
        "[profiles.secret]\nname = 'password'",
        "[profiles.api_key]\n[[profiles.api_key.bindings]]\nalias = 'api-key'\nmodels = ['x:token']",
        "[[profiles.x.bindings]]\nalias='a'\nmodels=['x:y']\nparams = { prompt_cache_key = 'v1', eos_token = '.' }",
        "token_limit = 'many'\nkeyring = 'system'\nmonkey = 'see'\npassword_file = '.p'\nsecrets = 'none'",
        "note = 'Basic responsibilities'\nother = 'Bearer tokens are kept elsewhere'",
        '[providers.x.headers]\nX-Monkey = "see"\nX-Author = "me"\nX-Token-Limit = "5"\nX-Plan = "Basic"',
        '[providers.x.headers]\nX-Token = "$A"\nX-Auth = "Bearer ${A_1}"\nCookie = "a=$A; b=${B}"\nX-Key = ""',
        "[metadata]\npassword = ''\ntoken = 3",
        "# the task-" + BODY + " was risk-free, see https://host:8000/v1/key=value and sk-...",
        '[providers.local]\nbase_url = "http://localhost:8000/v1"',
        '[providers.local]\nbase_url = "http://localhost:8000/v1/@cf/models"\n# see ssh://git@host/x',
        '[providers.local]\nbase_url = "http://$TOKEN@localhost:8000/v1"',
    ],
)
def test_what_is_no_secret_passes(write: Write, written: str) -> None:
    load(write(f'version = "1.0"\n{written}\n'))


def test_a_secret_written_with_escapes_is_seen(write: Write) -> None:
    with pytest.raises(LockfileParseError, match="note looks like a secret"):
        load(write('version = "1.0"\nnote = "\\u0073k-' + BODY + '"\n'))


def test_the_places_of_secrets() -> None:
    data = {"a": [{"api_key": "x"}, "sk-" + BODY], "b": {"token": ["y"], "api_key_env": "X"}}
    assert secrets_in(data) == [("a", 0, "api_key"), ("a", 1), ("b", "token", 0)]
    assert secrets_in({"version": "1.0"}) == []


def test_no_write_puts_a_secret_into_a_file(write: Write, plain: str, tmp_path: Path) -> None:
    path = write(plain)
    attempts: list[tuple[str, list[str], dict[str, Any]]] = [
        ("sk-" + BODY, ["x:y"], {}),
        ("a", ["openai:sk-" + BODY], {}),
        ("a", ["x:y"], {"params": {"extra": {"authorization": "Bearer anything"}}}),
    ]
    for alias, models, options in attempts:
        with pytest.raises(ConfigurationError, match="holds no secret") as caught:
            bind(path, alias, models, **options)
        assert BODY not in str(caught.value)
    with pytest.raises(ConfigurationError, match="holds no secret"):
        bind(path, "a", ["x:y"], profile="sk-" + BODY)
    with pytest.raises(LockfileParseError, match="holds no secret"):
        create(tmp_path / "new.lock", plain + '\n[providers.groq]\napi_key = "anything"\n')
    assert not (tmp_path / "new.lock").exists()
    assert path.read_text() == plain


def test_messages_do_not_repeat_a_key() -> None:
    key = "sk-" + BODY
    with pytest.raises(ConfigurationError, match="not shown") as malformed:
        split_reference(key)
    with pytest.raises(AliasNotFoundError, match="not shown") as unknown:
        resolve(Lockfile(), key)
    assert BODY not in str(malformed.value) + str(unknown.value)
    assert shown("Bearer x" + BODY + "1") == "(a secret, not shown)"
    assert shown("\x1b]0;é\ud800\x9b\n") == '"\\x1b]0;é\\ud800\\x9b\\n"'
    assert shown("y" * 200) == f'"{"y" * 77}..."'
