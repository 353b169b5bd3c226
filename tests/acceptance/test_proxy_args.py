"""
The proxy of a whole deployment can be told more: its metrics, its access log, its limits.
"""

from __future__ import annotations

import json

import httpx
import pytest

from perijove.wire.supervision import EXIT_UNUSABLE
from tests.support.site import eventually, free_port, running_site, unstarted_site

pytestmark = pytest.mark.timeout(120)


def test_metrics_access_log_and_limits_of_the_deployments_proxy() -> None:
    port = free_port()
    words = ["--metrics-port", str(port), "--access-log", "-", "--max-line", "1000"]
    with running_site(f"c.Perijove.proxy_args = {words!r}\n") as site:
        page = httpx.get(f"{site.origin}/hub/login?token=hidden", trust_env=False)
        long = httpx.get(f"{site.origin}/hub/{'x' * 2000}", trust_env=False)
        line = eventually(lambda: next((line for line in site.output.splitlines() if "/hub/login" in line), ""))
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text

    assert (page.status_code, long.status_code) == (200, 414)
    assert json.loads(line)["target"] == "/hub/login?token=***"
    assert "\nperijove_proxy_door 1.0\n" in metrics
    assert '\nperijove_proxy_refused_total{limit="line-size"} 1.0\n' in metrics
    assert '\nperijove_proxy_requests_total{kind="hub",status="200"} ' in metrics


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["--metrics-prot", "1"], "No such option"), (["--max-line", "many"], "'many' is not a valid integer")],
)
def test_what_the_proxy_does_not_know_stops_the_start(words: list[str], sentence: str) -> None:
    with unstarted_site(f"c.Perijove.proxy_args = {words!r}\n") as site:
        site.start(wait=False)
        status = site.wait()
        said = site.output

    assert status == EXIT_UNUSABLE
    assert "Perijove.proxy_args: " in said
    assert sentence in said
