"""
What signing in to a server or a service costs the hub: processor time of one authorisation and its exchange, and of
one decision about a permission.

    python bench/hub/oauth.py [--flows 300] [--write bench/results/oauth.md]

Runs in the environment that perijove is installed in. One person, one connection; the hub alone on core 0. Every flow
has a state and a PKCE challenge (S256), and the client asks with its token who it is, as JupyterHub's clients do.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import secrets
import statistics
import sys
import timeit
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hubs import Hub, folder, perijove_hub

from perijove.hub.scopes.catalog import IMPLIED
from perijove.hub.scopes.decision import ServerResource, UserResource, may
from report import machine, publish, table

SECRET: Final = "secret-of-the-application"
CALLBACK: Final = "https://app.example/callback"
_CONFIG: Final = f"""
c.JupyterHub.services.append({{
    "name": "app", "api_token": "{SECRET}", "oauth_redirect_uri": "{CALLBACK}", "oauth_no_confirm": True,
    "oauth_client_allowed_scopes": ["read:users!user"],
}})
c.JupyterHub.load_roles.append({{"name": "user", "scopes": ["self", "access:services!service=app"]}})
"""
_XSRF: Final = re.compile(r'name="_xsrf" value="([^"]+)"')
#: flows in one measurement: processor time is counted in hundredths of a second
BATCH: Final = 50
DECISIONS: Final = 20_000
#: expanded scopes of somebody in three groups, of whom each gives some
SCOPES: Final = 40


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with expanded scopes."""

    scopes: frozenset[str]


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=300)
    parser.add_argument("--write", type=Path)
    words = parser.parse_args()
    flow, whoami = flows(words.flows)
    yes, no = decisions()
    rows = [
        ("authorise and exchange, hub CPU", f"{flow:.1f} ms", "≤ 15 ms"),
        ("`GET /user` with the token, hub CPU", f"{whoami:.2f} ms", ""),
        (f"`may()`, {SCOPES} scopes, 3 groups: allowed", f"{yes:.2f} µs", "≤ 5 µs"),
        (f"`may()`, {SCOPES} scopes, 3 groups: refused", f"{no:.2f} µs", "≤ 5 µs"),
    ]
    publish(f"{table(('', 'perijove', 'to reach'), rows)}\n\n{machine()}\n", words.write)


def flows(count: int) -> tuple[float, float]:
    """Milliseconds of the hub's processor time for a flow, and for a look at who somebody is: medians of batches."""
    with folder("pj-assets-") as assets, perijove_hub(python=Path(sys.executable), assets=assets) as hub:
        with (hub.folder / "config.py").open("a", encoding="utf-8") as config:
            config.write(_CONFIG)
        hub.start()
        hub.wait_for_children()
        with httpx.Client(base_url=f"http://127.0.0.1:{hub.port}", timeout=30, trust_env=False) as browser:
            sign_in(browser)
            tokens = [flow(browser) for _ in range(BATCH)]
            taken, asked = [], []
            for _ in range(max(count // BATCH, 1)):
                before = processor_seconds(hub)
                tokens = [flow(browser) for _ in range(BATCH)]
                between = processor_seconds(hub)
                for token in tokens:
                    headers = {"Authorization": f"token {token}"}
                    assert httpx_ok(browser.get("/hub/api/user", headers=headers))["name"] == "ada"
                taken.append((between - before) / BATCH * 1000)
                asked.append((processor_seconds(hub) - between) / BATCH * 1000)
    return statistics.median(taken), statistics.median(asked)


def sign_in(browser: httpx.Client) -> None:
    """As ada."""
    found = _XSRF.search(browser.get("/hub/login").text)
    assert found
    form = {"_xsrf": found[1], "username": "ada", "password": "anything"}
    assert browser.post("/hub/login?next=/hub/home", data=form).status_code == 302


def flow(browser: httpx.Client) -> str:
    """One authorisation and one exchange; answers the token."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    client = {"client_id": "service-app", "redirect_uri": CALLBACK}
    asked = {
        **client,
        "response_type": "code",
        "state": "x" * 22,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    answer = browser.get("/hub/api/oauth2/authorize", params=asked)
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    form = {**client, "client_secret": SECRET, "grant_type": "authorization_code", "code": code}
    made = httpx_ok(browser.post("/hub/api/oauth2/token", data={**form, "code_verifier": verifier}))
    return str(made["access_token"])


def httpx_ok(answer: httpx.Response) -> dict[str, object]:
    """The body of a 200."""
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


def processor_seconds(hub: Hub) -> float:
    """What the hub has used so far."""
    used = psutil.Process(hub.pid).cpu_times()
    return float(used.user + used.system)


def decisions() -> tuple[float, float]:
    """Microseconds of a decision that allows by its last filter, and of one that hides."""
    names = sorted(IMPLIED)
    filters = [f"group=class-{number}" for number in range(3)] + ["user=ada", "server=bob/lab"]
    held = {f"{name}!{filters[at % len(filters)]}" for at, name in enumerate(names)}
    holder = Holder(frozenset([*sorted(held)[: SCOPES - 1], "access:servers!server=bob/lab"]))
    allowed = timeit.timeit(lambda: may(holder, "access:servers", ServerResource("bob", "lab")), number=DECISIONS)
    refused = timeit.timeit(lambda: may(holder, "access:servers", UserResource("eve")), number=DECISIONS)
    assert may(holder, "access:servers", ServerResource("bob", "lab"))
    assert not may(holder, "access:servers", UserResource("eve"))
    return allowed / DECISIONS * 1e6, refused / DECISIONS * 1e6


if __name__ == "__main__":
    main()
