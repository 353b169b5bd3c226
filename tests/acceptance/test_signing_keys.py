"""
The key of identity tokens is renewed while people are in, and none of them notices.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site, eventually, running_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(180)
CONTENTS = "/user/ada/api/contents"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site(OPEN_HOUSE) as running:
        yield running


def key(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "perijove", "key", *words, "-f", str(site.config)]
    return subprocess.run(
        command, env=dict(site.environ), cwd="/", capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def status_of(site: Site, cookie: str) -> int:
    """What a program is answered that has the cookies of a browser, and goes nowhere else for new ones."""
    headers = {"Cookie": cookie, "Accept": "application/json"}
    return httpx.get(f"{site.origin}{CONTENTS}", headers=headers, trust_env=False, timeout=PATIENCE).status_code


def told(site: Site) -> list[str]:
    """Names of the keys that the hub tells of, the one that signs first."""
    keys = httpx.get(f"{site.origin}/hub/api/identity-keys", trust_env=False).json()["keys"]
    return [str(each["kid"]) for each in keys]


def test_who_is_in_stays_in_while_the_key_is_renewed(site: Site) -> None:
    with Visitor(site, "ada") as ada, Rest(site) as rest:
        ada.sign_in()
        rest.start("ada")
        assert ada.get(CONTENTS).status_code == 200
        (old,) = told(site)

        added = key(site, "add")
        assert added.returncode == 0, added.stderr
        eventually(lambda: len(told(site)) == 2)
        new = told(site)[1]

        refused = key(site, "use")
        assert (refused.returncode, "started before the newest key" in refused.stderr) == (1, True)
        rest.stop("ada")
        rest.start("ada")
        assert ada.get(CONTENTS).status_code == 200
        used = key(site, "use")
        assert used.returncode == 0, used.stderr
        assert used.stdout.splitlines() == [f"{new}  signs", f"{old}  is believed"]
        eventually(lambda: told(site) == [new, old])

        # With the old statement, in the same browser; then with a new one, in another.
        kept = ada.cookies_for(CONTENTS)
        assert status_of(site, kept) == 200
        with Visitor(site, "ada") as again:
            again.sign_in()
            assert again.get(CONTENTS).status_code == 200

            assert key(site, "forget").returncode == 0
            eventually(lambda: told(site) == [new])
            assert again.get(CONTENTS).status_code == 200
            eventually(lambda: status_of(site, kept) == 403)
        # Signed in they are all the same: the door lets them in anew.
        assert ada.get("/user/ada/lab").status_code == 200
        assert ada.get(CONTENTS).status_code == 200
