"""
Models whose requests have spans.

pydantic-ai can make spans by itself, and isn't asked to: it can't mask what they hold, and records exceptions with
their messages, in which APIs repeat what they were told.

Imports pydantic-ai, so it is itself imported only when an llm agent runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai.models.wrapper import WrapperModel

from airflow_agentic.agents.llm_errors import attempt_error
from airflow_agentic.telemetry.conventions import chat_attributes, provider_name
from airflow_agentic.telemetry.spans import client_span, current_span, set_attributes

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings


def observed(model: Model) -> Model:
    """The model, whose requests have spans where somebody records any."""
    return model if current_span() is None else ObservedModel(model)


class ObservedModel(WrapperModel):
    """A model each of whose requests is a span."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask."""
        # the attempt's span, which couldn't know before: a connection may have models of several providers
        set_attributes(current_span(), {"gen_ai.provider.name": provider_name(self.system)})
        settings: Any = model_settings or {}
        attributes = chat_attributes(self.system, self.model_name, getattr(self.wrapped, "base_url", None), settings)
        with client_span("chat", self.model_name, attributes, attempt_error) as span:
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            set_attributes(span, _answered(response))
        return response


def _answered(response: ModelResponse) -> dict[str, Any]:
    usage = response.usage
    counted = usage.has_values()
    return {
        "gen_ai.response.model": response.model_name,
        "gen_ai.response.id": response.provider_response_id,
        "gen_ai.response.finish_reasons": [response.finish_reason] if response.finish_reason else None,
        "gen_ai.usage.input_tokens": usage.input_tokens if counted else None,
        "gen_ai.usage.output_tokens": usage.output_tokens if counted else None,
    }
