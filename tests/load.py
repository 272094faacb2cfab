"""Servers as child processes, and a client that costs them little: for benchmarks and campaigns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]

KNOCK_SECONDS = 0.02
"""Between two connections that are opened."""

_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def end_on_term() -> None:
    """Let a process that is told to end do so as any other: it ends what it started, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with _open(url, timeout=30) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


@dataclass
class Server:
    """A server in a session of its own, so that all of its processes can be ended."""

    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    health: str
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _begun: float = field(default=0.0, repr=False)

    def start(self, *, seconds: float = 120) -> float:
        """Start it and wait until it is healthy; seconds it took."""
        self.begin()
        return self.waited(seconds=seconds)

    def begin(self) -> None:
        """Start it without waiting."""
        self._begun = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def waited(self, *, seconds: float = 120) -> float:
        """Wait until it is healthy; seconds it took.

        Raises
        ------
        RuntimeError
            If it ends instead, or takes too long.
        """
        while not answers(f"http://127.0.0.1:{self.port}{self.health}"):
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() - self._begun > seconds:
                said = self.log.read_text(errors="replace")[-2_000:]
                raise RuntimeError(f"{self.command} did not become healthy: {said}")
            time.sleep(0.1)
        return time.monotonic() - self._begun

    def family(self) -> list[psutil.Process]:
        """Its processes, the first one first."""
        if self.process is None:
            return []
        try:
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_seconds(self) -> float:
        """What all of its processes have used so far."""
        total = 0.0
        for one in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                spent = one.cpu_times()
                total += spent.user + spent.system
        return total

    def end(self, how: signal.Signals = signal.SIGTERM, *, seconds: float = 30) -> None:
        """Ask its first process to end, then end whatever is left of it."""
        if self.process is None:
            return
        family = self.family()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()
        psutil.wait_procs(family, timeout=10)
        self.process = None


def request(path: str, body: bytes, headers: Mapping[str, str], *, method: str = "POST") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, content: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request.

        Raises
        ------
        OSError, EOFError
            If there is no answer; the next request opens the connection anew.
        """
        try:
            if self._writer is None:
                opened = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
                self._reader, self._writer = opened
            assert self._reader is not None
            self._writer.write(content)
            head = await self._reader.readuntil(b"\r\n\r\n")
            status, length, keep = _read(head)
            body = await self._reader.readexactly(length)
        except (OSError, EOFError, asyncio.CancelledError):
            self.close()
            raise
        if not keep:
            self.close()
        return status, body

    def close(self) -> None:
        """Close it; what is under way is given up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def _read(head: bytes) -> tuple[int, int, bool]:
    """Status, length of the body, and whether the connection is kept."""
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if "content-length" not in fields:
        raise OSError("an answer without its length")
    keep = fields.get("connection", "").lower() != "close"
    return int(first.split(" ")[1]), int(fields["content-length"]), keep


@dataclass
class Took:
    """How long requests took, milliseconds, and how many a second were answered."""

    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def at(self, share: float) -> float:
        """A percentile."""
        ordered = sorted(self.milliseconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def figures(self) -> dict[str, float]:
        """What is reported."""
        count = len(self.milliseconds)
        return {
            "p50_ms": self.at(0.5),
            "p95_ms": self.at(0.95),
            "p99_ms": self.at(0.99),
            "per_second": count / self.seconds,
            "cpu_ms": 1000 * self.cpu_seconds / count,
            "requests": count,
        }


async def drive(
    port: int,
    connections: int,
    seconds: float,
    make: Callable[[], bytes],
    check: Callable[[int, bytes], bool],
) -> Took:
    """Ask over some connections at once, each as soon as it has its answer.

    Parameters
    ----------
    make : callable
        Gives the next request.
    check : callable
        Whether status and body are an answer as it should be.

    Raises
    ------
    RuntimeError
        If an answer is not as it should be.
    """
    took = Took()
    deadline = time.perf_counter() + seconds

    async def client(number: int) -> None:
        # One after another, as callers come: a worker takes all that knock at the same moment.
        await asyncio.sleep(number * KNOCK_SECONDS)
        connection = Connection(port)
        while (begun := time.perf_counter()) < deadline:
            status, body = await connection.ask(make())
            took.milliseconds.append(1000 * (time.perf_counter() - begun))
            if not check(status, body):
                raise RuntimeError(f"answered {status}: {body[:500]!r}")
        connection.close()

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(client(number))
    took.seconds = time.perf_counter() - begun
    return took
