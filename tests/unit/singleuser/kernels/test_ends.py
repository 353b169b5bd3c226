from __future__ import annotations

from datetime import UTC, datetime

from perijove.singleuser.kernels.ends import REMEMBERED, Ends
from perijove.wire.kernels import KernelEnd

NOW = datetime(2026, 1, 1, tzinfo=UTC)
END = KernelEnd(reason="signal", status=9, message="It was ended by signal SIGKILL.")


def test_the_last_end_of_a_kernel_is_told() -> None:
    ends = Ends()
    ends.remember("1", KernelEnd(reason="exit", status=3, message="x"), NOW)
    ends.remember("1", END, NOW)

    assert ends.model("1") == {"reason": "signal", "status": 9, "message": END.message, "at": NOW.isoformat()}
    assert ends.model("2") is None


def test_the_oldest_are_forgotten() -> None:
    ends = Ends()
    for number in range(REMEMBERED + 1):
        ends.remember(str(number), END, NOW)

    assert ends.model("0") is None
    assert ends.model("1") is not None
