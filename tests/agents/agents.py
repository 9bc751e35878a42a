"""How each real agent is pointed at the scripted model server: what its table says besides `agent`."""

import json
from pathlib import Path
from typing import NamedTuple

from tests.models.server import MODEL, Models

ARGUMENTS = '{"text": "shall I?"}'

KEY = "k-7f3a9c15d2"
"""What the agents show the model server as their key. It may stand nowhere."""


class Pointed(NamedTuple):
    """An agent's environment, and a message at which its model calls the host's `confirm`, if one does."""

    env: dict[str, str]
    confirm: str | None


def pointed(name: str, models: Models, folder: Path) -> Pointed:
    """What makes an agent ask the scripted model. `folder` is for files that it needs."""
    match name:
        case "claude-code":
            env = {
                "ANTHROPIC_API_KEY": KEY,
                "ANTHROPIC_BASE_URL": models.url,
                "ENABLE_TOOL_SEARCH": "false",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            }
            return Pointed(env, f"TOOL mcp__tenure__confirm {ARGUMENTS}")
        case "codex":
            return Pointed({"OPENAI_API_KEY": KEY, "CODEX_CONFIG": codex(models)}, None)
        case "gemini":
            env = {
                "GEMINI_API_KEY": KEY,
                "GOOGLE_GEMINI_BASE_URL": models.url,
                "GEMINI_MODEL": "gemini-2.5-flash",
            }
            return Pointed(env, f"TOOL mcp_tenure_confirm {ARGUMENTS}")
        case "opencode":
            env = {
                "OPENAI_API_KEY": KEY,
                "OPENCODE_CONFIG_CONTENT": opencode(models),
                "OPENCODE_DISABLE_MODELS_FETCH": "1",
            }
            return Pointed(env, f"TOOL tenure_confirm {ARGUMENTS}")
        case "qwen-code":
            env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": models.v1, "OPENAI_MODEL": MODEL}
            found = 'TOOL tool_search {"query": "select:mcp__tenure__confirm"}\nTHEN\n'
            return Pointed(
                env, f'{found}TOOL tool_call {{"name": "mcp__tenure__confirm", "arguments": {ARGUMENTS}}}'
            )
        case "vibe":
            folder.mkdir()
            (folder / "config.toml").write_text(vibe(models))
            return Pointed({"MISTRAL_API_KEY": KEY, "VIBE_HOME": str(folder)}, None)
        case _:
            raise LookupError(name)


def codex(models: Models) -> str:
    """Codex' configuration."""
    provider = {
        "name": "scripted",
        "base_url": models.v1,
        "wire_api": "responses",
        "env_key": "OPENAI_API_KEY",
    }
    return json.dumps({"model": MODEL, "model_provider": "own", "model_providers": {"own": provider}})


def opencode(models: Models) -> str:
    """opencode's configuration."""
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "scripted",
        "options": {"baseURL": models.v1, "apiKey": "{env:OPENAI_API_KEY}"},
        "models": {MODEL: {"name": "scripted"}},
    }
    return json.dumps({"model": f"own/{MODEL}", "share": "disabled", "provider": {"own": provider}})


def vibe(models: Models) -> str:
    """Vibe's configuration."""
    return f"""
active_model = "{MODEL}"
enable_update_checks = false

[[providers]]
name = "own"
api_base = "{models.v1}"
api_key_env_var = "MISTRAL_API_KEY"
api_style = "openai"

[[models]]
name = "{MODEL}"
provider = "own"
alias = "{MODEL}"
"""
