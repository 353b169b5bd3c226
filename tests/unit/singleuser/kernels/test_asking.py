from __future__ import annotations

import json
import struct

import pytest

from perijove.singleuser.kernels.asking import end_in
from perijove.singleuser.kernels.forked import returncode
from perijove.wire.kernels import KernelEnd

END = KernelEnd(reason="exit", status=3, message="It ended with exit code 3.")


def framed(message: object) -> bytes:
    data = json.dumps(message).encode()
    return struct.pack(">I", len(data)) + data


def test_the_launchers_last_words_are_read() -> None:
    assert end_in(framed({"exit": END.to_json()})) == END


@pytest.mark.parametrize("data", [b"", b"\0\0", framed({"exit": END.to_json()})[:-1], framed({"ok": {}}), framed([1])])
def test_half_of_them_or_something_else_says_nothing(data: bytes) -> None:
    assert end_in(data) is None


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (END, 3),
        (KernelEnd(reason="signal", status=15, message=""), -15),
        (KernelEnd(reason="oom", status=9, message=""), -9),
        (KernelEnd(reason="oom", status=-1, message=""), -9),
        (KernelEnd(reason="unknown", status=-1, message=""), -1),
    ],
)
def test_an_end_is_an_exit_code_as_subprocess_has_them(end: KernelEnd, code: int) -> None:
    assert returncode(end) == code
