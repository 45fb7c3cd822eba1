"""Fetching over real sockets: what is connected to is what was checked, whatever name servers and redirects say."""

from __future__ import annotations

import asyncio
import gzip
import socket
from typing import TYPE_CHECKING, Any

import pytest
from support.http_site import HttpSite, page, redirect, resolve_names
from support.scripted_server import Reply

from airflow_agentic.agents.library.sources import load
from airflow_agentic.errors import FinalError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator

ARTICLE = """<!doctype html><html><head><title>Waiting well</title></head><body>
<nav><a href="/">Home</a> | <a href="/docs">Documentation</a> | <a href="/login">Log in</a></nav>
<article><h1>Waiting well</h1>
<p>A client that retries at once makes an overload worse, because every client does the same at the same time.</p>
<p>Exponential backoff doubles the wait after each attempt, and jitter spreads the clients over that time.</p>
<p>A server that knows when it will be ready again says so in the Retry-After header, which clients should obey.</p>
</article><footer>Copyright 2026. All rights reserved. <a href="/privacy">Privacy policy</a></footer></body></html>"""


@pytest.fixture
def site() -> Iterator[HttpSite]:
    with HttpSite({"/article": page(ARTICLE)}) as started:
        yield started


@pytest.fixture(autouse=True)
def _only_one_loopback_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__PRIVATE_HOSTS", "127.0.0.1")


def loaded(*sources: str, **options: Any) -> dict[str, Any]:
    return asyncio.run(load(list(sources), **options))


def test_a_page_is_read_without_its_navigation(site: HttpSite) -> None:
    (source,) = loaded(f"{site.url}/article")["sources"]
    assert source["title"] == "Waiting well"
    assert "jitter spreads the clients" in source["text"]
    assert "Log in" not in source["text"]
    assert "Privacy" not in source["text"]
    assert source["characters"] == len(source["text"])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.2]/",
        "http://0x7f000002/",
        "http://2130706434/",
        "http://127.2/",
        "http://0177.0.0.2/",
        "https://169.254.169.254/latest/meta-data/",
    ],
)
def test_a_private_address_is_refused_however_it_is_spelled(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "localhost" in url:
        resolve_names(monkeypatch, lambda _: ["127.0.0.2"])
    with pytest.raises(FinalError, match="is not a public address") as caught:
        loaded(url)
    assert caught.value.kind == "rejected"


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://127.0.0.1", "http://", "http:///x", "data:text/plain,x"],
)
def test_only_http_urls_with_a_host_are_fetched(url: str) -> None:
    with pytest.raises(FinalError, match=r"is not an? (http|URL)"):
        loaded(url)


def test_a_url_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(FinalError, match="user or password") as caught:
        loaded("http://user:hunter2@127.0.0.1/")
    assert "hunter2" not in str(caught.value)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers differently the second time gets no second time."""
    with HttpSite({"/article": page(ARTICLE)}) as allowed, HttpSite({}, host="127.0.0.2", port=allowed.port) as other:
        answers = iter([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]])
        asked = resolve_names(monkeypatch, lambda _: next(answers))
        result = loaded(f"http://rebinding.example:{allowed.port}/article")
    assert len(result["sources"]) == 1
    assert asked == ["rebinding.example"]
    assert allowed.calls[0].headers["host"] == f"rebinding.example:{allowed.port}"
    assert other.calls == []


def test_a_name_with_one_private_address_among_its_addresses_is_refused(
    site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_names(monkeypatch, lambda _: ["127.0.0.1", "127.0.0.2"])
    with pytest.raises(FinalError, match=r"mixed.example \(127.0.0.2\) is not a public address"):
        loaded(f"http://mixed.example:{site.port}/article")
    assert site.calls == []


def test_a_redirect_is_checked_like_a_new_url(site: HttpSite) -> None:
    with HttpSite({"/secret": page("secret")}, host="127.0.0.2") as inner:
        site.pages["/away"] = redirect(f"{inner.url}/secret")
        site.pages["/file"] = redirect("file:///etc/passwd")
        for path, message in (("/away", "is not a public address"), ("/file", "is not an http")):
            with pytest.raises(FinalError, match=message):
                loaded(f"{site.url}{path}")
        assert inner.calls == []


def test_each_redirect_resolves_and_checks_its_host_again(site: HttpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/one"] = redirect(f"http://two.example:{site.port}/article")
    asked = resolve_names(monkeypatch, lambda host: {"one.example": ["127.0.0.1"]}.get(host, ["127.0.0.2"]))
    with pytest.raises(FinalError, match=r"two\.example"):
        loaded(f"http://one.example:{site.port}/one")
    assert asked == ["one.example", "two.example"]
    assert site.paths == ["/one"]


def test_relative_redirects_are_followed_a_few_times(site: HttpSite) -> None:
    for number in range(5):
        site.pages[f"/hop{number}"] = redirect(f"hop{number + 1}" if number < 4 else "/article", status=307)
    assert loaded(f"{site.url}/hop0")["sources"][0]["title"] == "Waiting well"
    site.pages["/loop"] = redirect("/loop")
    with pytest.raises(FinalError, match="more than 5 redirects"):
        loaded(f"{site.url}/loop")
    assert site.paths.count("/loop") == 6


def test_a_page_is_given_up_when_it_gets_too_large(site: HttpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__MAX_SOURCE_BYTES", "100000")
    site.pages["/declared"] = page("x" * 100_001, "text/plain", cut=10)
    packed = gzip.compress(b"x" * 50_000_000)
    site.pages["/packed"] = Reply(body=packed, headers={"Content-Type": "text/plain", "Content-Encoding": "gzip"})
    assert len(packed) < 100_000
    for path in ("/declared", "/packed"):
        with pytest.raises(FinalError, match="larger than 100000 bytes"):
            loaded(f"{site.url}{path}")


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("Grüße aus Köln, schön wars.".encode(), "text/plain", "Grüße aus Köln"),
        ("Grüße aus Köln, schön wars.".encode("latin-1"), "text/plain; charset=iso-8859-1", "Grüße aus Köln"),
        ("Grüße aus Köln, schön wars.".encode("utf-16"), "text/plain", "Grüße aus Köln"),
        ("Grüße aus Köln".encode(), "text/plain; charset=no-such-charset", "Grüße aus Köln"),
        (b"# Title\n\nSome *text* here.", "text/markdown", "# Title\n\nSome text here."),
    ],
)
def test_character_sets_and_media_types_are_honoured(
    site: HttpSite, body: bytes, content_type: str, expected: str
) -> None:
    site.pages["/page"] = page(body, content_type)
    assert expected in loaded(f"{site.url}/page")["sources"][0]["text"]


def test_a_plain_type_does_not_hide_markdown(site: HttpSite) -> None:
    site.pages["/raw/README.md"] = page("# Title\n\nSee [the docs](https://x.y) now.", "text/plain; charset=utf-8")
    assert loaded(f"{site.url}/raw/README.md")["sources"][0]["text"] == "# Title\n\nSee the docs now."


def test_one_of_many_that_does_not_answer_is_skipped_and_said(site: HttpSite) -> None:
    result = loaded(f"{site.url}/gone", f"{site.url}/article")
    assert [source["id"] for source in result["sources"]] == ["s1"]
    assert result["skipped"] == [{"uri": f"{site.url}/gone", "reason": "the server answered 404"}]
    with pytest.raises(FinalError, match="Only 1 of at least 2 sources"):
        loaded(f"{site.url}/gone", f"{site.url}/article", required=2)


@pytest.mark.parametrize("reply", [Reply(status=503), Reply(status=429), Reply(hang_up=True), page("x" * 999, cut=9)])
def test_when_nothing_can_be_had_for_now_trying_again_may_help(site: HttpSite, reply: Reply) -> None:
    site.pages["/page"] = reply
    with pytest.raises(RetryableError, match=r"^http://.* can't be read: ") as caught:
        loaded(f"{site.url}/page")
    assert caught.value.kind == "unavailable"


def test_a_slow_server_is_not_waited_for(site: HttpSite) -> None:
    site.pages["/slow"] = page("late", delay=5)
    with pytest.raises(RetryableError, match=r"no answer within 0\.3 s"):
        loaded(f"{site.url}/slow", timeout=0.3)


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} not known")

    resolve_names(monkeypatch, unknown)
    with pytest.raises(RetryableError, match="the host's name is not known"):
        loaded("http://nowhere.example/")


def test_a_proxy_of_the_environment_is_not_used(site: HttpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert loaded(f"{site.url}/article")["sources"]
