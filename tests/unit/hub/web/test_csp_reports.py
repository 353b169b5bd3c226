from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any

from perijove.hub.usecases.testing import FakeClock
from perijove.hub.web.csp_reports import MAX_LOGGED, MAX_REPORT, REPORTS_A_MINUTE, CspReports
from tests.unit.hub.web.rig import Rig

ADDRESS = "/hub/security/csp-report"


def test_a_report_is_logged_cut_to_its_beginning(logged: MutableSequence[Any]) -> None:
    CspReports(clock=FakeClock()).note(b"\xff" + b"x" * MAX_REPORT, user="bob")

    (line,) = logged
    assert (line["event"], line["user"], len(line["report"])) == ("csp.violation", "bob", MAX_LOGGED)


def test_so_many_are_logged_in_a_minute_and_the_rest_counted(logged: MutableSequence[Any]) -> None:
    clock = FakeClock()
    reports = CspReports(clock=clock)

    for _ in range(REPORTS_A_MINUTE + 3):
        reports.note(b"{}", user="bob")
    clock.advance(60)
    reports.note(b"{}", user="bob")

    assert [line["event"] for line in logged] == [
        *["csp.violation"] * REPORTS_A_MINUTE,
        "csp.reports_dropped",
        "csp.violation",
    ]
    assert logged[REPORTS_A_MINUTE]["count"] == 3


async def test_a_browser_reports_with_nothing_but_its_cookie(rig: Rig, logged: MutableSequence[Any]) -> None:
    browser = await rig.signed_in("bob")

    page = await browser.get("/hub/home")
    answer = await browser.client.post(ADDRESS, content=b'{"csp-report": {}}')

    assert f"report-uri {ADDRESS}" in page.headers["content-security-policy"]
    assert answer.status_code == 200
    assert [line["report"] for line in logged if line["event"] == "csp.violation"] == ['{"csp-report": {}}']


async def test_strangers_and_endless_reports_are_refused(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    async with rig.client() as stranger:
        assert (await stranger.post(ADDRESS, content=b"{}")).status_code == 403
    assert (await browser.client.post(ADDRESS, content=b"x" * (MAX_REPORT + 1))).status_code == 413
