"""Servers under test, each a process of its own on core 0, what they ask on core 1; the load runs on the last core."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from .access import admit

START_S = 60.0
ECHO = "benchmarks.echo"
LITELLM = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}


def pin_load() -> None:
    """Put this process on the last core, away from the servers."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@contextmanager
def pointsman(**settings: str) -> Iterator[tuple[int, Path]]:
    """A Pointsman server with a data folder of its own: (port, folder)."""
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        admit(Path(folder))
        with serving(Path(folder), "/startupz", **settings) as port:
            yield port, Path(folder)


@contextmanager
def serving(folder: Path, probe: str, **settings: str) -> Iterator[int]:
    """A Pointsman server with this data folder, once the probe is green: its port."""
    environment = {"POINTSMAN_DATA_DIR": str(folder), "POINTSMAN_LOG_LEVEL": "warning", **settings}
    with _process(["-m", "controlplane", "serve"], environment, probe) as port:
        yield port


@contextmanager
def echo() -> Iterator[int]:
    """A bare litestar application that gives back what it decoded."""
    with _process(["-m", ECHO], {}, "/livez") as port:
        yield port


@contextmanager
def fake_provider() -> Iterator[int]:
    """The fake provider that ships, on the second core."""
    port = free_port()
    command = ["-m", "controlplane", "fake-provider", "--port", str(port)]
    with _process(command, {}, "/fake/bill", port=port, core=1):
        yield port


@contextmanager
def litellm(environment: Path, configuration: str) -> Iterator[int]:
    """LiteLLM's proxy with one worker, from an environment of its own; it asks for no key and looks nothing up."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="litellm-bench-") as folder:
        file = Path(folder) / "proxy.yaml"
        file.write_text(configuration, "utf-8")
        command = ["--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        program = str(environment / "bin" / "litellm")
        with _process(command, LITELLM, "/health/liveliness", port=port, program=program) as served:
            yield served


@contextmanager
def _process(
    arguments: list[str],
    environment: dict[str, str],
    probe: str,
    *,
    port: int | None = None,
    core: int = 0,
    program: str = sys.executable,
) -> Iterator[int]:
    port = port or free_port()
    child = subprocess.Popen(
        [program, *arguments],
        env={**os.environ, "POINTSMAN_PORT": str(port), **environment},
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        wait_for(port, probe, child)
        yield port
    finally:
        child.terminate()
        child.wait(timeout=30)


def wait_for(port: int, path: str, child: "subprocess.Popen[bytes]") -> float:
    """Seconds until the path answers 200."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < START_S:
        if child.poll() is not None:
            raise RuntimeError(f"the server ended with code {child.returncode}")
        try:
            if httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code == 200:
                return time.perf_counter() - begun
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise TimeoutError(f"{path} was not green after {START_S} s")


def wait_for_ready(client: httpx.Client) -> None:
    """Wait until the model and memory are loaded."""
    until = time.perf_counter() + START_S
    while client.get("/readyz").status_code != 200:
        if time.perf_counter() > until:
            raise TimeoutError(f"/readyz was not green after {START_S} s")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
