"""Credentials that somebody wrote into a template aren't shown with it."""

from __future__ import annotations

import pytest
import yaml

from airflow_agentic.template.credentials import is_credential, without_credentials

TEMPLATE = """\
# é: a letter of two bytes, before everything
version: 1
inputs:
  key: {type: string, format: password, default: "default-secret"}
  plain: {type: string, default: shown}
x-shared: &shared {X-Api-Key: shared-secret}
agents:
  api:
    type: http
    connection: c
    headers:
      Authorization: Bearer literal-secret   # a comment
      "X-Auth-Token": 'quoted secret'
      X-Tenant: research
      X-Rendered-Key: "{{ input.key }}"
      Cookie: >
        folded-secret
        more-secret
      X-Number-Key: 4711
  other: {type: http, connection: c, headers: *shared}
stages:
  a:
    agent: {type: http, connection: c, headers: {PRIVATE-TOKEN: flow-secret, Accept: text/plain}}
    input: {text: "headers: {Authorization: no-secret}"}
"""


def test_only_credentials_are_left_out() -> None:
    shown = without_credentials(TEMPLATE)
    assert "secret" not in shown.replace("no-secret", "")
    assert "4711" not in shown
    assert [len(text.splitlines()) for text in (TEMPLATE, shown)] == [24, 22]
    for kept in ("X-Tenant: research", '"{{ input.key }}"', "default: shown", "Accept: text/plain", "# a comment", "é"):
        assert kept in shown


def test_what_is_left_is_the_same_template() -> None:
    data, shown = yaml.safe_load(TEMPLATE), yaml.safe_load(without_credentials(TEMPLATE))
    hidden = shown["agents"]["api"]["headers"]
    assert hidden == {
        **data["agents"]["api"]["headers"],
        **dict.fromkeys(("Authorization", "X-Auth-Token", "Cookie", "X-Number-Key"), "***"),
    }
    assert shown["stages"]["a"]["input"] == data["stages"]["a"]["input"]
    assert shown["agents"]["other"]["headers"] == {"X-Api-Key": "***"}
    assert shown["inputs"]["key"]["default"] == "***"


@pytest.mark.parametrize("text", ["", "a: b", "headers: [", "headers: {a: *b}", "headers", "- headers\n- password"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert without_credentials(text) == text


def test_a_mapping_in_itself_ends() -> None:
    assert without_credentials("&a {headers: {X-Key: b}, c: *a}") == "&a {headers: {X-Key: '***'}, c: *a}"


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Proxy-Authorization", "X-Api-Key", "x_api_key", "APIKEY", "Cookie", "Set-Cookie", "X-Auth"),
        *("PRIVATE-TOKEN", "X-Auth-Token", "X-CSRF-Token", "X-Amz-Security-Token", "Ocp-Apim-Subscription-Key", "key"),
        *("X-Signature", "X-Session-Id", "client_secret", "db_password", "passwd", "pwd", "X-JWT", "Credential"),
    ],
)
def test_names_of_credentials(name: str) -> None:
    assert is_credential(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Accept", "Content-Type", "X-Tenant", "User-Agent", "max_tokens", "stop", "X-Author", "authors", "monkey"),
        *("temperature", "keywords", "X-Request-Id"),
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_credential(name)
