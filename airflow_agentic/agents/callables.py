"""
Python callables that a template names: which may be named, how they are found, what their failures are.

A template is code, so by default it may name anything; where its authors aren't trusted with that, the option
``[agentic] python_callables`` restricts it, and is asked before anything is imported.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import re
import traceback
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from airflow_agentic import config
from airflow_agentic.errors import FinalError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_TRACEBACK_LIMIT = 20_000
_OWN_FOLDER = Path(__file__).parent


def load_callable(name: str) -> Callable[..., Any]:
    """
    Find what ``module:attribute`` (or ``module.attribute``) names.

    :raises FinalError: it isn't allowed, doesn't exist, can't be imported, or can't be called.
    """
    name = full_name(name)
    _check_allowed(name)
    module_name, _, path = name.partition(":")
    found: Any = _import(module_name, name)
    for attribute in path.split("."):
        found = _attribute(found, attribute, name)
    if not callable(found):
        raise _rejected(f"{name!r} can't be called: it is {_article(type(found).__name__)}.")
    return found  # type: ignore[no-any-return]


def full_name(name: str) -> str:
    """
    The name with a colon between module and attribute.

    :raises FinalError: it can't be the name of a callable.
    """
    full = name if ":" in name else ":".join(name.rpartition(".")[::2])
    if not _NAME.fullmatch(full):
        raise _rejected(f"{name!r} is not the name of a callable; write 'package.module:function'.")
    return full


def bind(function: Callable[..., Any], arguments: Mapping[str, Any], name: str) -> None:
    """
    Check keyword arguments against a callable's signature before it is called.

    :raises FinalError: they don't fit; the message names the nearest parameter.
    """
    parameters = _parameters(function)
    if parameters is None:
        return
    try:
        inspect.Signature(parameters).bind(**arguments)
    except TypeError as error:
        raise _rejected(_misfit(parameters, arguments, name, error)) from None


def takes(function: Callable[..., Any], parameter: str) -> bool:
    """Whether a callable has a parameter of that very name that can be given by keyword."""
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return any(found.name == parameter and found.kind in by_keyword for found in _parameters(function) or ())


def failure(error: BaseException, name: str) -> FinalError | RetryableError:
    """
    The attempt's error for an exception that a callable raised, with the callable's own traceback.

    It is a bug, unless it tells what another side has answered, or that none has.
    """
    from airflow.sdk.exceptions import AirflowFailException

    from airflow_agentic.agents.foreign_errors import meaning_of

    message = f"{name} raised {_describe(error)}"
    details: dict[str, Any] = {"exception": type(error).__qualname__, "traceback": user_traceback(error)}
    if isinstance(error, AirflowFailException):
        return FinalError(message, kind="rejected", details=details)
    meaning = meaning_of(error)
    if meaning is None:
        return RetryableError(message, kind="bug", details=details)
    if meaning.status is not None:
        details["status"] = meaning.status
    if meaning.kind == "rejected":
        return FinalError(message, kind=meaning.kind, details=details)
    return RetryableError(message, kind=meaning.kind, retry_after=meaning.retry_after, details=details)


def user_traceback(error: BaseException) -> str:
    """The exception as Python prints it, without the frames of this package that led to the callable."""
    step = error.__traceback__
    while step is not None and _is_own(step):
        step = step.tb_next
    text = "".join(traceback.format_exception(type(error), error, step or error.__traceback__))
    return text[-_TRACEBACK_LIMIT:]


def _is_own(step: TracebackType) -> bool:
    return Path(step.tb_frame.f_code.co_filename).parent == _OWN_FOLDER


def _check_allowed(name: str) -> None:
    patterns = config.get_list("python_callables")
    if not any(fnmatchcase(name, pattern) for pattern in patterns):
        allowed = ", ".join(patterns) or "none"
        raise _rejected(
            f"The callable {name!r} may not be used here: the option [agentic] python_callables allows {allowed}."
        )


def _import(module_name: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name == missing or module_name.startswith(missing + "."):
            hint = _did_you_mean(missing.rpartition(".")[2], _siblings(missing))
            raise _rejected(f"There is no module {missing!r}, which {name!r} names{hint}.") from None
        raise _import_failed(module_name, error) from error
    except Exception as error:
        raise _import_failed(module_name, error) from error


def _import_failed(module_name: str, error: Exception) -> FinalError:
    details = {"exception": type(error).__qualname__, "traceback": user_traceback(error)}
    return FinalError(
        f"The module {module_name!r} could not be imported: {_describe(error)}", kind="rejected", details=details
    )


def _siblings(module_name: str) -> Iterable[str]:
    """The modules beside one that doesn't exist."""
    parent, _, _ = module_name.rpartition(".")
    path = importlib.import_module(parent).__path__ if parent else None
    return [found.name for found in pkgutil.iter_modules(path)]


def _attribute(owner: Any, attribute: str, name: str) -> Any:
    where = f"module {owner.__name__!r}" if isinstance(owner, ModuleType) else repr(name.rpartition(".")[0])
    if attribute.startswith("__"):
        raise _rejected(f"{name!r} names a private part of Python; name a function or a class.")
    try:
        found = getattr(owner, attribute)
    except AttributeError:
        hint = _did_you_mean(attribute, [key for key in dir(owner) if not key.startswith("_")])
        raise _rejected(f"There is no {attribute!r} in {where}{hint}.") from None
    if isinstance(found, ModuleType):
        # Otherwise "allowed.module:os.system" would match the pattern "allowed.module:*".
        raise _rejected(f"{name!r} goes through the module {found.__name__!r}; name that module itself.")
    return found


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some callables written in C have none
        return None


def _misfit(parameters: list[inspect.Parameter], arguments: Mapping[str, Any], name: str, error: TypeError) -> str:
    names = [parameter.name for parameter in parameters if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    unknown = [] if open_ended else [key for key in arguments if key not in names]
    takes = ", ".join(names) or "no arguments"
    if unknown:
        hint = _did_you_mean(unknown[0], [key for key in names if key not in arguments])
        return f"{name} does not take {unknown[0]!r}{hint}. It takes: {takes}."
    return f"The input does not fit {name}: {error}. It takes: {takes}."


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _describe(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _article(word: str) -> str:
    return f"an {word}" if word[:1].lower() in "aeiou" else f"a {word}"


def _rejected(message: str) -> FinalError:
    return FinalError(message, kind="rejected")
