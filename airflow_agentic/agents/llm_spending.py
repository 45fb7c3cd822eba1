"""
Models whose requests are paid for: each asks the run's purse first, tool turns and summaries included, and tells it
what was taken; each answer says what it cost.

What a request takes at most is an estimate of what is sent and the longest answer that it allows. Under a budget of
tokens or money every request therefore bounds its answer (the setting ``max_tokens``), in the end by what is left.

Imports pydantic-ai, so it is itself imported only when an llm agent runs. The model is wrapped, and not the agent,
because models that stand in for one another have prices of their own.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic_ai.models.wrapper import WrapperModel

from airflow_agentic.agents.llm_limits import LimitedModel, prompt_tokens
from airflow_agentic.errors import FinalError
from airflow_agentic.limits.prices import list_prices, own_prices
from airflow_agentic.limits.spending import ONE_CALL, Amount, Want

if TYPE_CHECKING:
    import asyncio

    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

    from airflow_agentic.agents.base import AgentRequest
    from airflow_agentic.limits.prices import Tariff
    from airflow_agentic.limits.spending import Spent

log = logging.getLogger(__name__)

#: Tokens to which an answer is bounded under a budget, where the settings don't say (``max_tokens``).
LONGEST_ANSWER = 8192
#: Tokens of an answer for which a request is still worth making: OpenAI takes no smaller bound.
LEAST_ANSWER = 16
#: What HTTP clients raise before anything was sent.
_NOT_SENT = frozenset({"ConnectError", "ConnectTimeout"})


class SpendingModel(WrapperModel):
    """
    A model whose requests are paid for.

    :param connection: where it is from.
    :param extra: the ``agentic`` part of the connection's extra, if there is one.
    :raises ConfigError: the extra says something that there isn't.
    """

    def __init__(
        self, wrapped: Model, *, connection: str, extra: Any, request: AgentRequest, timeout: asyncio.Timeout
    ) -> None:
        super().__init__(wrapped)
        self._connection = connection
        self._own_prices = own_prices(extra, connection)
        self._spending = request.spending
        self._waiting = request.waiting
        self._timeout = timeout

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Reserve what it may take, ask, and tell what it took."""
        offer = self._offer(messages, model_settings, model_request_parameters)
        want = ONE_CALL if offer is None else offer.want()
        async with self._spending.call(self._timeout, self._waiting, want) as spent:
            settings = model_settings if offer is None else _bounded(model_settings, offer, spent.granted)
            try:
                response = await self._sent(spent, messages, settings, model_request_parameters)
            except Exception as error:
                if _is_free(error):
                    spent.tokens, spent.cost_usd = 0, 0.0
                raise
            self._tell(spent, response)
        return response

    def _offer(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> _Offer | None:
        """What the request may take; None: only calls are counted."""
        budget = self._spending.budget
        if budget.tokens is None and budget.cost_usd is None:
            return None
        return _Offer(
            prompt=prompt_tokens(messages, parameters),
            answer=int((settings or {}).get("max_tokens") or LONGEST_ANSWER),
            tariff=None if budget.cost_usd is None else self._tariff(),
        )

    def _tariff(self) -> Tariff:
        """
        What the model costs.

        :raises FinalError: nobody knows.
        """
        url = getattr(self.wrapped, "base_url", None)
        found = self._own_prices or list_prices(self.model_name, provider=self.system, url=url)
        if found is None:
            raise FinalError(
                f"The price of the model {self.model_name!r} isn't known, and the run has a budget in cost_usd. "
                f"Write it into the extra of the connection {self._connection!r}, in US dollars per million tokens: "
                '{"agentic": {"prices": {"input_per_million": …, "output_per_million": …}}}',
                kind="rejected",
            )
        return found

    async def _sent(self, spent: Spent, *request: Any) -> ModelResponse:
        """Ask; what never got past the connection's limits was no call."""
        limited = self.wrapped if isinstance(self.wrapped, LimitedModel) else None
        before = 0 if limited is None else limited.sent
        try:
            return await self.wrapped.request(*request)
        finally:
            spent.made = limited is None or limited.sent > before

    def _tell(self, spent: Spent, response: ModelResponse) -> None:
        """What the answer took; it also says so itself, for the records."""
        usage = response.usage
        if not usage.has_values() or usage.unmeasured_requests:
            return
        spent.tokens = usage.total_tokens
        if self._own_prices is not None:
            usage.cost = Decimal(str(self._own_prices.cost_usd(usage.input_tokens, usage.output_tokens)))
        elif usage.cost is None:
            usage.cost = _list_cost(response)
        if usage.cost is not None:
            spent.cost_usd = float(usage.cost)


@dataclass(frozen=True, kw_only=True)
class _Offer:
    """
    What a request may take.

    :param prompt: an estimate of the tokens that are sent.
    :param answer: the most tokens that may come back.
    :param tariff: what they cost; None: money isn't counted.
    """

    prompt: int
    answer: int
    tariff: Tariff | None

    def want(self) -> Want:
        return Want(most=self._amount(self.answer), least=self._amount(min(self.answer, LEAST_ANSWER)))

    def answer_within(self, granted: Amount) -> int:
        """The longest answer with which the request takes no more."""
        answer = min(self.answer, granted.tokens - self.prompt)
        most, none = self._amount(self.answer).cost_usd, self._amount(0).cost_usd
        if granted.cost_usd < most:
            answer = min(answer, int(self.answer * (granted.cost_usd - none) / (most - none)))
        return answer

    def _amount(self, answer: int) -> Amount:
        cost_usd = 0.0 if self.tariff is None else self.tariff.cost_usd(self.prompt, answer)
        return Amount(tokens=self.prompt + answer, cost_usd=cost_usd)


def _bounded(settings: ModelSettings | None, offer: _Offer, granted: Amount) -> ModelSettings:
    answer = offer.answer_within(granted)
    if answer < offer.answer:
        log.warning("Of the run's budget only enough is left for an answer of %d tokens.", answer)
    return {**(settings or {}), "max_tokens": answer}


def _list_cost(response: ModelResponse) -> Decimal | None:
    if not response.model_name:
        return None
    try:
        return response.cost().total_price
    except (LookupError, ValueError):  # a model, or a usage, without a price
        return None


def _is_free(error: BaseException) -> bool:
    """Whether a request surely cost nothing: it was never sent, or the provider answered with an error."""
    cause: BaseException | None = error
    for _ in range(20):
        if cause is None:
            return False
        status = getattr(cause, "status_code", None)
        if (isinstance(status, int) and status >= 400) or type(cause).__name__ in _NOT_SENT:
            return True
        cause = cause.__cause__
    return False
