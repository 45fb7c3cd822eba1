"""
Summing up what is too long for a model's window, by the same model.

A text that is itself longer than the window is summed up in parts, and where what they give is still too long, that is
summed up again. The number of calls in one attempt is bounded.

Imports pydantic-ai, so it is itself imported only when an llm agent with a window runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai.direct import model_request
from pydantic_ai.messages import InstructionPart, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters

from airflow_agentic.agents.llm_dialogue import Dialogue
from airflow_agentic.agents.marking import INSTRUCTION, mark
from airflow_agentic.agents.validate import MalformedOutput
from airflow_agentic.agents.window_text import pieces, text_bytes
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings

    from airflow_agentic.agents.fitting import Known

#: Calls for summaries in one attempt.
MOST_CALLS = 16
_INSTRUCTIONS = (
    "You shorten texts for another model, which will have your summary in place of the text. Keep what is said, by "
    "whom and from where: facts, names, numbers, dates, quotations, sources. Leave out repetitions. Write in the "
    "language of the text, and nothing but the summary.\n\n" + INSTRUCTION
)
#: Bytes of a summary for each word that is asked for: models don't count well.
_BYTES_PER_WORD = 8
_FEWEST_WORDS = 30
#: Bytes of text for each token that the window leaves: the estimate's three, and room for what JSON escapes.
_BYTES_PER_TOKEN = 2.6
_SMALLEST_PART = 500


class Summarizer:
    """
    Sums up texts within one attempt.

    :param model: with all its layers.
    :param settings: the agent's.
    :param window: in tokens; holds for these calls as well.
    :param heard: told of each answer, and how its call is recorded.
    """

    def __init__(
        self,
        model: Model,
        settings: ModelSettings | None,
        window: int,
        known: Known,
        heard: Callable[[ModelResponse, dict[str, Any]], None],
    ) -> None:
        self._model = model
        self._settings = settings
        self._window = window
        self._known = known
        self._heard = heard
        self._calls = 0

    @property
    def may_ask(self) -> bool:
        """Whether calls are left."""
        return self._calls < MOST_CALLS

    async def summary(self, text: str, room: int, place: str) -> str:
        """
        A summary of a text, while calls are left. It may be longer than asked for: models don't count well.

        :param room: bytes.
        :param place: where the text is from, for the record.
        :raises FinalError: the window has no room for a text to be summed up.
        """
        words = max(room // _BYTES_PER_WORD, _FEWEST_WORDS)
        parts = pieces(text, self._part_size())
        read = parts[: MOST_CALLS - self._calls]
        of_each = max(words // len(parts), _FEWEST_WORDS)
        said = "\n\n".join([await self._said(part, of_each, place) for part in read])
        if len(read) < len(parts):
            return f"{said}\n\n[… {len(parts) - len(read)} of {len(parts)} parts of the text are not in this summary]"
        if len(parts) > 1 and len(text_bytes(said)) > room and self.may_ask:
            return await self.summary(said, room, place)
        return said

    def _part_size(self) -> int:
        size = int((self._window - self._dialogue(_prompt("", 1000)).estimated_tokens()) * _BYTES_PER_TOKEN)
        if size < _SMALLEST_PART:
            message = f"The agent's window of {self._window:,} tokens is too small to sum up what doesn't fit."
            raise FinalError(message, kind="window_exceeded")
        return size

    async def _said(self, text: str, words: int, place: str) -> str:
        if text not in self._known.summaries:
            self._known.summaries[text] = await self._asked(_prompt(text, words), place)
        return self._known.summaries[text]

    async def _asked(self, prompt: str, place: str) -> str:
        self._calls += 1
        dialogue = self._dialogue(prompt)
        response = await model_request(
            self._model,
            dialogue.messages,
            model_settings=self._settings,
            model_request_parameters=dialogue.parameters,
        )
        answer = "".join(part.content for part in response.parts if isinstance(part, TextPart)).strip()
        self._heard(response, {"path": place, **_call(prompt, answer, response)})
        if not answer:
            raise MalformedOutput("The model was asked to sum up a text that doesn't fit, and gave no text.")
        return answer

    def _dialogue(self, prompt: str) -> Dialogue:
        return Dialogue(
            messages=[ModelRequest(parts=[UserPromptPart(prompt)], instructions=_INSTRUCTIONS)],
            parameters=ModelRequestParameters(instruction_parts=[InstructionPart(content=_INSTRUCTIONS)]),
        )


def _prompt(text: str, words: int) -> str:
    return f"Sum up this text in at most {words} words.\n\n{mark(text, 'text')}"


def _call(prompt: str, answer: str, response: ModelResponse) -> dict[str, Any]:
    """One call for the record."""
    usage, cost = response.usage, response.usage.cost
    counted = usage.has_values()
    return {
        "prompt": prompt,
        "answer": answer,
        "model": response.model_name,
        "tokens": {
            "input": usage.input_tokens if counted else None,
            "output": usage.output_tokens if counted else None,
        },
        "cost_usd": None if cost is None else float(cost),
    }
