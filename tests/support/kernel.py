"""
A kernel of a real server, driven as JupyterLab drives it: through the server's WebSocket.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from websockets.asyncio.client import ClientConnection, connect, unix_connect

from perijove.wire.launcher import Launched
from tests.support.launcher import browser, identity, main_process

PROGRAM: Final = identity(sid="token:1", lifetime=24 * 3600)
PATIENCE: Final = 40.0
#: Kernelspec of the same kernel, started the ordinary way.
ORDINARY: Final = "ordinary"


@dataclass
class Outcome:
    """What came of a cell."""

    reply: dict[str, Any] = field(default_factory=dict)
    printed: str = ""
    #: outputs with a MIME type
    shown: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""


class Kernel:
    """One kernel and the connection to it."""

    def __init__(self, server: Launched, kernel_id: str, socket: ClientConnection) -> None:
        self.server = server
        self.id = kernel_id
        self.socket = socket
        #: what `input()` gets
        self.typed = ""
        #: messages of no request of ours
        self.others: list[dict[str, Any]] = []

    async def send(self, kind: str, content: Mapping[str, Any], *, channel: str = "shell") -> str:
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": kind, "session": "s", "username": "", "version": "5.3"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": channel}
        await self.socket.send(json.dumps(message))
        return number

    async def ask(self, kind: str, content: Mapping[str, Any], *, channel: str = "shell") -> dict[str, Any]:
        """The answer to a request."""
        number = await self.send(kind, content, channel=channel)
        async with asyncio.timeout(PATIENCE):
            while True:
                message = json.loads(await self.socket.recv())
                if message["parent_header"].get("msg_id") == number and message["channel"] == channel:
                    answer: dict[str, Any] = message["content"]
                    return answer
                self.others.append(message)

    async def run(self, code: str) -> Outcome:
        """Run a cell to its end."""
        return await self.outcome_of(await self.begin(code))

    async def begin(self, code: str) -> str:
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": True}
        return await self.send("execute_request", content)

    async def outcome_of(self, number: str) -> Outcome:
        found = Outcome()
        idle = False
        async with asyncio.timeout(PATIENCE):
            while not (idle and found.reply):
                message = json.loads(await self.socket.recv())
                if message["parent_header"].get("msg_id") != number:
                    self.others.append(message)
                    continue
                content = message["content"]
                match message["msg_type"]:
                    case "stream":
                        found.printed += content["text"]
                    case "display_data" | "execute_result":
                        found.shown.append(content["data"])
                    case "error":
                        found.error = content["ename"]
                    case "execute_reply":
                        found.reply = content
                    case "status":
                        idle = content["execution_state"] == "idle"
                    case "input_request":
                        await self.send("input_reply", {"value": self.typed}, channel="stdin")
                    case _:
                        self.others.append(message)
        return found

    async def says(self, code: str) -> str:
        """What *code* prints."""
        outcome = await self.run(code)
        assert not outcome.error, outcome
        return outcome.printed.strip()

    async def process(self) -> psutil.Process:
        """As the machine sees it; it may have another number behind its walls."""
        own = int(await self.says("import os; print(os.getpid())"))
        return psutil.Process(_outside(self.server, own))

    async def post(self, action: str) -> int:
        async with browser(self.server, PROGRAM) as visitor:
            return (await visitor.post(f"/user/ada/{_of(self.server)}api/kernels/{self.id}/{action}")).status_code

    async def restart(self) -> None:
        """As JupyterLab does, which connects again then: a new kernel listens before old channels have found it."""
        assert await self.post("restart") == 200
        await self.socket.close()
        self.socket = await _channels(self.server, self.id)

    async def wait_for(self, state: str) -> None:
        """Until the server says that the kernel is in *state*."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = json.loads(await self.socket.recv())
                if message["msg_type"] == "status" and message["content"]["execution_state"] == state:
                    return


def _of(server: Launched) -> str:
    name = server.key.partition("/")[2]
    return f"{name}/" if name else ""


@asynccontextmanager
async def kernel(server: Launched, name: str = "python3", **model: Any) -> AsyncIterator[Kernel]:
    """A new kernel of ada's server, until the end of the test."""
    base = f"/user/ada/{_of(server)}"
    async with browser(server, PROGRAM) as visitor:
        answer = await visitor.post(f"{base}api/kernels", json={"name": name, **model})
        assert answer.status_code == 201, answer.text
        kernel_id = answer.json()["id"]
        async with _channels(server, kernel_id) as socket:
            started = Kernel(server, kernel_id, socket)
            try:
                yield started
            finally:
                await started.socket.close()
        # A test may have ended the server.
        with suppress(httpx.ConnectError):
            await visitor.delete(f"{base}api/kernels/{kernel_id}")


def _channels(server: Launched, kernel_id: str) -> connect:
    uri = f"ws://hub.example/user/ada/{_of(server)}api/kernels/{kernel_id}/channels"
    return unix_connect(server.socket, uri=uri, additional_headers=dict(PROGRAM), max_size=2**25)


def _outside(server: Launched, pid: int) -> int:
    """What the process *pid* of the namespace of *server* is called outside."""
    space = _space(server.pid)
    for process in psutil.process_iter():
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            numbers = next(line.split()[1:] for line in lines if line.startswith("NSpid:"))
            if int(numbers[-1]) == pid and _space(process.pid) == space:
                return process.pid
    raise AssertionError(f"there is no process {pid} in the server's namespace")


def _space(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def home_of(server: Launched) -> Path:
    home = Path(psutil.Process(main_process(server)).cwd())
    # Before it is at home it is there, which no test may change.
    assert home != Path("/")
    return home


def add_kernelspec(server: Launched, name: str, **changes: Any) -> None:
    """A kernelspec in the home of the server's user."""
    folder = home_of(server) / ".local" / "share" / "jupyter" / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    spec = {
        "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        **changes,
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    for path in (folder / "kernel.json", *folder.parents):
        if path == home_of(server):
            break
        path.chmod(0o755)


def add_ordinary(server: Launched) -> None:
    """The same kernel as this environment's, never forked."""
    add_kernelspec(server, ORDINARY, metadata={"kernel_provisioner": {"provisioner_name": "local-provisioner"}})


def is_forked(process: psutil.Process, launcher_pid: int) -> bool:
    """Whether a kernel came from the launcher's template."""
    return process.ppid() == launcher_pid and "perijove.launcher.template" in process.cmdline()


def targets_of(pid: int) -> set[str]:
    """What the descriptors of a process are."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        # It runs on, and closes some.
        with suppress(FileNotFoundError):
            found.add(str(path.readlink()))
    return found
