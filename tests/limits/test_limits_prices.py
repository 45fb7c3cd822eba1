"""What models cost, by the list and by what a connection says."""

from __future__ import annotations

import pytest

from airflow_agentic.errors import ConfigError
from airflow_agentic.limits.prices import OwnPrices, is_known, list_prices, own_prices

pytest.importorskip("genai_prices")

GOOD = {"input_per_million": 3.0, "output_per_million": 15}


@pytest.mark.parametrize(
    "model",
    [
        "openai:gpt-5",
        "openai-chat:gpt-5",
        "openai-responses:gpt-5",
        "anthropic:claude-sonnet-4-5",
        "google:gemini-2.5-pro",
        "bedrock:anthropic.claude-sonnet-4-5-20250929-v1:0",
        "gateway/groq:openai/gpt-oss-120b",
        "gpt-5",
    ],
)
def test_known_models(model: str) -> None:
    assert is_known(model)


@pytest.mark.parametrize("model", ["openai:gpt-of-my-own", "ollama:qwen3:8b", "nobody:gpt-5", "test", "our-model", ""])
def test_unknown_models(model: str) -> None:
    assert not is_known(model)


def test_list_prices() -> None:
    listed = list_prices("claude-sonnet-4-5", provider="anthropic")
    assert listed is not None
    assert listed.cost_usd(1_000_000, 0) > listed.cost_usd(1000, 0) > 0
    assert listed.cost_usd(1000, 1000) == pytest.approx(0.018)


def test_where_a_model_is_asked_says_more_than_its_providers_name() -> None:
    there = list_prices("openai/gpt-4o", provider="openai", url="https://openrouter.ai/api/v1")
    anywhere = list_prices("gpt-4o", provider="openai", url="http://127.0.0.1:8000/v1")
    assert there is not None
    assert anywhere is not None
    assert (there.provider.id, anywhere.provider.id) == ("openrouter", "openai")


def test_own_prices() -> None:
    prices = own_prices({"prices": GOOD, "max_concurrent": 8}, "model")
    assert prices == OwnPrices(input_per_million=3.0, output_per_million=15)
    assert prices.cost_usd(1_000_000, 100_000) == pytest.approx(4.5)
    free = own_prices({"prices": {"input_per_million": 0, "output_per_million": 0}}, "model")
    assert free is not None
    assert free.cost_usd(10**6, 10**6) == 0


def test_no_own_prices() -> None:
    assert own_prices(None, "model") is None
    assert own_prices({}, "model") is None
    assert own_prices({"max_concurrent": 8}, "model") is None


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"price": GOOD}, "'agentic' has no setting 'price'; did you mean 'prices'?"),
        ({"prices": 3}, "'agentic.prices' must be a mapping, not 3"),
        ({"prices": {"input_per_milion": 3}}, "no setting 'input_per_milion'; did you mean 'input_per_million'?"),
        ({"prices": {"input_per_million": 3}}, "agentic.prices.output_per_million must be a number"),
        ({"prices": {**GOOD, "input_per_million": "3"}}, "not '3'"),
        ({"prices": {**GOOD, "input_per_million": True}}, "not True"),
        ({"prices": {**GOOD, "input_per_million": -1}}, "not -1"),
        ({"prices": {**GOOD, "input_per_million": float("nan")}}, "not nan"),
        ([60], "must be a mapping"),
    ],
)
def test_what_a_connection_says_wrongly(extra: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        own_prices(extra, "my_model")
    assert "'my_model'" in str(caught.value)
    assert said in str(caught.value)
