"""The fake provider as a command."""

import asyncio
from pathlib import Path

import msgspec

from .output import lines
from .program import Failed, app


@app.command(name="fake-provider")
def fake_provider(*, port: int = 0, script: Path | None = None) -> None:
    """Play a provider of language models by a script, on this machine only, until interrupted.

    Args:
      port: Port to listen on; 0 takes a free one.
      script: A JSON file that says how calls are answered; without one, all are answered well.
    """
    asyncio.run(_play(port, b"{}" if script is None else _read(script)))


async def _play(port: int, script: bytes) -> None:
    from ..llm.fake import FakeProvider
    from ..llm.fake_script import Script

    try:
        provider = FakeProvider(msgspec.json.decode(script, type=Script))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Failed(f"the script cannot be played: {error}") from error
    try:
        url = await provider.start(port)
    except OSError as error:
        raise Failed(f"port {port} cannot be listened on: {error.strerror}") from error
    lines(f"Fake provider at {url}", f"OpenAI's base URL is {url}/v1, Anthropic's {url}", f"bill at {url}/fake/bill")
    try:
        await asyncio.Event().wait()
    finally:
        await provider.close()


def _read(script: Path) -> bytes:
    try:
        return script.read_bytes()
    except OSError as error:
        raise Failed(f"{script} cannot be read: {error.strerror}") from error
