"""
What models cost: the list prices that the package genai-prices knows, or what a connection's extra says instead.

A connection's own prices stand in the ``agentic`` part of its extra: ``{"agentic": {"prices": {"input_per_million": 3,
"output_per_million": 15}}}``, in US dollars per million tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_agentic.errors import ConfigError
from airflow_agentic.limits.settings import checked_keys

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

_GATEWAY = "gateway/"


class Tariff(Protocol):
    """What a model costs."""

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """The price of one request, in US dollars."""
        ...


@dataclass(frozen=True, kw_only=True)
class OwnPrices:
    """The prices that a connection's extra says, in US dollars per million tokens."""

    input_per_million: float
    output_per_million: float

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """See :meth:`Tariff.cost_usd`."""
        return (input_tokens * self.input_per_million + output_tokens * self.output_per_million) / 1_000_000


@dataclass(frozen=True, kw_only=True)
class ListPrices:
    """The prices that everybody pays, those of the time of the request."""

    provider: Provider
    model: ModelInfo

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """See :meth:`Tariff.cost_usd`."""
        from datetime import UTC, datetime

        from genai_prices import Usage

        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        price = self.model.calc_price(usage, self.provider, genai_request_timestamp=datetime.now(UTC))
        return float(price.total_price)


def own_prices(extra: Any, connection: str) -> OwnPrices | None:
    """
    The prices in the ``agentic`` part of a connection's extra; None: it says none.

    :raises ConfigError: it holds something else.
    """
    if extra is None or "prices" not in checked_keys(extra, connection):
        return None
    keys = tuple(OwnPrices.__dataclass_fields__)
    prices = checked_keys(extra["prices"], connection, keys, "agentic.prices")
    for key in keys:
        value = prices.get(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
            raise ConfigError(
                f"The extra of connection {connection!r}: agentic.prices.{key} must be a number, US dollars per "
                f"million tokens, not {value!r}."
            )
    return OwnPrices(**prices)


def list_prices(model: str, *, provider: str | None, url: str | None = None) -> ListPrices | None:
    """
    The list prices of a model; None: nobody knows them.

    :param model: the model's name.
    :param provider: who offers it, by pydantic-ai's name; None: whoever makes it.
    :param url: where it is asked, which tells the provider more precisely.
    :raises ModuleNotFoundError: the package genai-prices is missing.
    """
    from genai_prices.data_snapshot import get_snapshot

    places = [(provider, None)] if url is None else [(None, url), (provider, None)]
    for provider_id, api_url in places:
        try:
            found, info = get_snapshot().find_provider_model(model, None, provider_id, api_url)
            prices = ListPrices(provider=found, model=info)
            prices.cost_usd(1, 1)
        except (LookupError, ValueError):  # unknown, or without prices of tokens
            continue
        return prices
    return None


def is_known(model: str) -> bool:
    """
    Whether a model has list prices.

    :param model: ``provider:model``, as in templates and connections, or the model's name alone.
    :raises ModuleNotFoundError: the package genai-prices is missing.
    """
    provider, colon, name = model.partition(":")
    if not colon:
        return list_prices(model, provider=None) is not None
    return list_prices(name, provider=provider.removeprefix(_GATEWAY)) is not None
