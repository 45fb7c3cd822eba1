"""
How many tokens a request to a model has: by the provider's own counter where there is one, else by an estimate.

Asking the provider is a request of its own, so it is only done where the estimate is near enough to the window to
matter. The estimate is three bytes of UTF-8 a token, of all that is sent as JSON: too much for nearly every text.

Imports pydantic-ai, so it is itself imported only when an llm agent with a window runs.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings

    from airflow_agentic.agents.llm_dialogue import Dialogue

log = logging.getLogger(__name__)

#: Shares of the window between which the provider is asked: below, a request fits; above, it doesn't.
_NEAR, _FAR = 0.6, 4.0
#: Seconds for one count.
_LONGEST = 15.0


@dataclass(frozen=True, kw_only=True)
class Counted:
    """
    How long a request is.

    :param estimate: in tokens, whoever counted.
    :param by: who did.
    """

    tokens: int
    estimate: int
    by: Literal["provider", "estimate"]

    @property
    def ratio(self) -> float:
        """Tokens for each one that is estimated."""
        return self.tokens / self.estimate


class TokenCounter:
    """
    Counts the tokens of one attempt's requests.

    Where several models stand in for one another, the first one's counter is asked.

    :param window: in tokens.
    """

    def __init__(self, model: Model, window: int) -> None:
        self._model: Any = getattr(model, "models", [model])[0]
        self._window = window
        self._asks = True

    async def count(self, dialogue: Dialogue, settings: ModelSettings | None) -> Counted:
        """Count; whatever keeps the provider from doing so, the estimate stands."""
        estimate = dialogue.estimated_tokens()
        if self._asks and _NEAR * self._window < estimate < _FAR * self._window:
            tokens = await self._provided(dialogue, settings)
            if tokens:
                return Counted(tokens=tokens, estimate=estimate, by="provider")
        return Counted(tokens=estimate, estimate=estimate, by="estimate")

    async def _provided(self, dialogue: Dialogue, settings: ModelSettings | None) -> int | None:
        """What the provider says; asked no more in this attempt once it can't say."""
        try:
            messages = self._model.prepare_messages(dialogue.messages, dialogue.parameters)
            async with asyncio.timeout(_LONGEST):
                usage = await self._model.count_tokens(messages, settings, dialogue.parameters)
        except NotImplementedError:
            self._asks = False
        except Exception as error:  # an answer may be had where a count isn't
            self._asks = False
            log.info("The provider could not count the tokens, so they are estimated: %s", error)
        else:
            return int(usage.input_tokens)
        return None
