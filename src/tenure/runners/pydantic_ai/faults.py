"""What went wrong in a run of pydantic-ai, in a sentence for people: what happened, and the way out.

The drive makes verdicts of it, the patience decides by it whether a model is asked again.
"""

from typing import TypeAlias

from pydantic_ai.exceptions import (
    AgentRunError,
    FallbackExceptionGroup,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelUnavailableError,
    UsageLimitExceeded,
    UserError,
)

from tenure.core.output import Verdict, failed

MOST_DETAIL = 500

RunError: TypeAlias = AgentRunError | UserError | FallbackExceptionGroup
RUN_ERRORS = (AgentRunError, UserError, FallbackExceptionGroup)
"""What pydantic-ai raises of its own accord. Whatever else a run raises is of the agent's own code."""

_PASSING = (ModelRateLimitError, ModelUnavailableError, ModelServerError, ModelConnectionError)


def passes(error: Exception) -> bool:
    """Whether asking the model again later may help: 429, 5xx, and connections that fail."""
    match error:
        case ModelQuotaExceededError():
            return False
        case ModelRequestTimeout():
            return True
        case ModelHTTPError(status_code=status):
            return status in (408, 429) or status >= 500 or isinstance(error, _PASSING)
        case _:
            return isinstance(error, _PASSING)


def verdict(error: RunError, agent: str, secrets: tuple[str, ...] = ()) -> Verdict:
    """The verdict of a run that ended with `error`. No secret of the agent's table stands in it."""
    reason = _sentence(error, agent)
    for secret in secrets:
        reason = reason.replace(secret, "***")
    return failed(reason, retryable=passes(error))


def _sentence(error: RunError, agent: str) -> str:
    match error:
        case ModelAPIError():
            return _of_model(error, agent)
        case UsageLimitExceeded():
            return f"The run met its limit: {_detail(error)} Raise request_limit in [agents.{agent}]."
        case FallbackExceptionGroup():
            causes = "; ".join(_detail(cause) for cause in error.exceptions)
            return f"No model answered: {causes}"[: 2 * MOST_DETAIL]
        case _:
            return _detail(error)


def _of_model(error: ModelAPIError, agent: str) -> str:
    model = error.model_name
    match error:
        case ModelAuthenticationError():
            return (
                f"The model {model} refuses the credentials ({_status(error)}). Check api_key in "
                f"[agents.{agent}], or the key in the environment variable of its provider."
            )
        case ModelQuotaExceededError():
            return f"The account behind the model {model} has nothing left ({_status(error)}). Top it up."
        case ModelNotFoundError():
            return (
                f"There is no model {model} at its provider ({_status(error)}). Check model and base_url in "
                f"[agents.{agent}]."
            )
        case ModelConnectionError() if not isinstance(error, ModelHTTPError):
            return (
                f"The model {model} can't be reached: {_detail(error)} Check base_url in [agents.{agent}] "
                "and the network, then try again."
            )
        case ModelContextWindowExceededError():
            return f"The conversation is too long for the model {model}. Compact the session, then go on."
        case _:
            ask = "Try again later." if passes(error) else "Sending it again won't help; change it first."
            return f"The model {model} failed ({_status(error)}): {_detail(error)} {ask}"


def _status(error: ModelAPIError) -> str:
    return str(error.status_code) if isinstance(error, ModelHTTPError) else "no answer"


def told(error: Exception) -> str:
    """A model's failure in a few words, for a warning."""
    match error:
        case ModelHTTPError(status_code=status, model_name=model):
            return f"{model} answered {status}"
        case ModelConnectionError(model_name=model):
            return f"{model} couldn't be reached"
        case _:
            return type(error).__name__


def _detail(error: BaseException) -> str:
    text = " ".join(str(error).split())
    short = text if len(text) <= MOST_DETAIL else f"{text[:MOST_DETAIL]}…"
    return short if short.endswith((".", "!", "?", "…")) else f"{short}."
