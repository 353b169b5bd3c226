"""
Several hubs over one PostgreSQL, in one deployment: whichever answers, and what people notice when one is gone.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import product
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import psutil
import psycopg
import pytest

from perijove.wire.supervision import EXIT_UNUSABLE
from tests.support.postgres import Postgres, running_postgres
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site, eventually, unstarted_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(180)
#: seconds that a start of somebody slow takes before anything is launched
SLOW = 3
HUBS = (1, 2)
#: an application on another host
APPLICATION = {
    "name": "app",
    "api_token": "secret-of-the-application",
    "oauth_redirect_uri": "http://app.example/callback",
    "oauth_no_confirm": True,
}
SLOWLY = f"""
import asyncio

async def _slowly(spawner):
    if spawner.user.name.startswith("slow"):
        await asyncio.sleep({SLOW})

c.Spawner.pre_spawn_hook = _slowly
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


@pytest.fixture
def database(server: Postgres) -> Iterator[str]:
    name = server.create()
    yield name
    server.drop(name)


@pytest.fixture
def site(server: Postgres, database: str) -> Iterator[Site]:
    settings = f"c.Perijove.db_url = {server.url(database)!r}\nc.Perijove.hubs = {len(HUBS)}\n"
    with unstarted_site(OPEN_HOUSE + SLOWLY + settings) as made:
        made.start()
        eventually(lambda: registered(server, database) == {holder(number) for number in HUBS})
        yield made


def holder(number: int, incarnation: int = 1) -> str:
    return f"{socket.gethostname()}-{number}#{incarnation}"


def registered(server: Postgres, database: str) -> set[str]:
    with server.connect(database) as connection:
        return {f"{name}#{n}" for name, n in connection.execute("SELECT name, incarnation FROM hubs")}


def driver_of(server: Postgres, database: str, user: str) -> int:
    """The number of the hub that drives *user*'s server; 0 if none does."""
    words = "SELECT lease_holder FROM servers JOIN users ON users.id = servers.user_id WHERE users.name = %s"
    with server.connect(database) as connection:
        row = connection.execute(words, (user,)).fetchone()
    return int(row[0].partition("#")[0].rpartition("-")[2]) if row and row[0] else 0


def is_registered(server: Postgres, database: str, name: str) -> bool:
    return name in registered(server, database)


def waiting_for_locks(server: Postgres, database: str) -> int:
    """How many of the hubs' statements wait for somebody else's transaction."""
    words = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    with server.connect(database) as connection:
        (number,) = connection.execute(words, (database,)).fetchone() or (0,)
    return int(number)


def start_slowly(rest: Rest, user: str, beside: ThreadPoolExecutor) -> None:
    """Ask for a start, whoever answers; if nobody does because it was killed, the start goes on."""
    rest.user(user)

    def ask() -> None:
        with suppress(httpx.HTTPError):
            rest("POST", f"/hub/api/users/{user}/server")

    beside.submit(ask)


def test_a_start_whose_hub_is_killed_is_finished_and_requests_go_on(
    site: Site, server: Postgres, database: str
) -> None:
    with Rest(site) as rest, Rest(site) as other, ThreadPoolExecutor(1) as beside:
        start_slowly(rest, "slow", beside)
        driver = eventually(lambda: driver_of(server, database, "slow"))

        site.hub(driver).kill()
        failed = 0
        for _ in range(100):
            try:
                failed += other("GET", "/hub/api/users").status_code != 200
            except httpx.HTTPError:
                failed += 1
        eventually(lambda: other("GET", "/user/slow/api/status").status_code == 200)

        assert rest("GET", "/hub/api/users/slow").json()["servers"][""]["ready"]
    # At most the one that the hub was answering when it was killed.
    assert failed <= 1
    assert len(site.records("slow")) == 1


def test_a_start_whose_hub_hangs_is_finished_by_another_and_nothing_is_doubled_when_it_wakes(
    site: Site, server: Postgres, database: str
) -> None:
    with Rest(site) as rest, ThreadPoolExecutor(1) as beside:
        start_slowly(rest, "slow", beside)
        driver = eventually(lambda: driver_of(server, database, "slow"))
        hung = site.hub(driver)
        hung.send_signal(signal.SIGSTOP)
        try:
            other = 3 - driver
            eventually(lambda: driver_of(server, database, "slow") == other)
            eventually(lambda: len(site.records("slow")) == 1)
        finally:
            hung.send_signal(signal.SIGCONT)
        eventually(lambda: rest("GET", "/user/slow/api/status").status_code == 200)
        eventually(lambda: holder(driver, 2) in registered(server, database))
        started = rest("GET", "/user/slow/api/status").json()["started"]
        # Longer than the hub that woke would take to launch another.
        time.sleep(SLOW)

        assert rest("GET", "/user/slow/api/status").json()["started"] == started
    assert len(site.records("slow")) == 1


def test_a_hub_that_hangs_in_a_transaction_keeps_no_lock_from_the_one_that_takes_over(
    site: Site, server: Postgres, database: str
) -> None:
    with Rest(site) as rest, ThreadPoolExecutor(1) as beside:
        start_slowly(rest, "slow", beside)
        driver = eventually(lambda: driver_of(server, database, "slow"))
        hung = site.hub(driver)
        with psycopg.connect(server.url(database)) as held:
            held.execute("SELECT FROM servers JOIN users ON users.id = user_id WHERE users.name = 'slow' FOR UPDATE")
            # The lock that its driver waits for, to renew its lease or to record what comes next, is then its own.
            eventually(lambda: waiting_for_locks(server, database))
            hung.send_signal(signal.SIGSTOP)
        try:
            eventually(lambda: driver_of(server, database, "slow") == 3 - driver)
            eventually(lambda: len(site.records("slow")) == 1)
        finally:
            hung.send_signal(signal.SIGCONT)
        eventually(lambda: rest("GET", "/user/slow/api/status").status_code == 200)
    assert len(site.records("slow")) == 1


def test_people_need_not_care_which_hub_answers(site: Site, server: Postgres, database: str) -> None:
    """
    Signed in at one, their forms and progress are taken by the other, while they take turns in being killed.
    """
    with Visitor(site, "ada") as ada:
        assert ada.sign_in().status_code == 200
        eventually(lambda: ada.get("/user/ada/api/status").status_code == 200)
        for number, incarnation in product(HUBS, (2, 3)):
            hub = site.hub(number)
            hub.kill()
            hub.wait(timeout=10)

            assert ada.get("/hub/home").url.path == "/hub/home"
            assert ada.get("/user/ada/api/status").status_code == 200
            # Not both at once: whoever comes back serves when it has registered.
            eventually(partial(is_registered, server, database, holder(number, incarnation)))


def taken_away(site: Site, number: int) -> None:
    """Whatever comes next is answered by another hub: this one takes longer to be back."""
    hub = site.hub(number)
    hub.kill()
    hub.wait(timeout=10)


def test_a_code_that_one_hub_gave_is_taken_by_another_and_once(site: Site, server: Postgres, database: str) -> None:
    site.add(f"c.JupyterHub.services = c.JupyterHub.services + [{APPLICATION!r}]")
    site.add('c.JupyterHub.extra_user_scopes = ["access:services!service=app"]')
    assert site.interrupt() == 0
    site.start()
    eventually(lambda: registered(server, database) == {holder(number) for number in HUBS})
    asked = {
        "client_id": "service-app",
        "redirect_uri": APPLICATION["oauth_redirect_uri"],
        "response_type": "code",
        "state": "s",
    }
    with Visitor(site, "ada") as ada:
        assert ada.sign_in().status_code == 200
        taken_away(site, 2)
        sent = ada.led_from(f"/hub/api/oauth2/authorize?{urlencode(asked)}")
    (code,) = parse_qs(urlsplit(sent).query)["code"]
    form = {"grant_type": "authorization_code", "code": code, "client_secret": APPLICATION["api_token"], **asked}
    with httpx.Client(base_url=site.origin, trust_env=False, timeout=30) as application:
        eventually(lambda: holder(2, 2) in registered(server, database))
        taken_away(site, 1)
        given = application.post("/hub/api/oauth2/token", data=form)
        again = application.post("/hub/api/oauth2/token", data=form)

    assert given.json()["token_type"] == "Bearer"
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_wrong_passwords_at_all_hubs_together_are_counted(site: Site, server: Postgres, database: str) -> None:
    site.add('c.DummyAuthenticator.password = "the right one"')
    assert site.interrupt() == 0
    site.start()
    with Visitor(site, "eve") as eve:
        answers = [eve.submit("/hub/login", username="eve", password=f"guess {n}").status_code for n in range(12)]

    assert answers == [403] * 10 + [429] * 2
    with server.connect(database) as connection:
        found = connection.execute("SELECT key FROM attempts WHERE key LIKE 'account %'").fetchall()
    assert found == [("account eve",)]


def test_the_stop_in_order_ends_all_hubs_and_the_servers_once(site: Site, server: Postgres, database: str) -> None:
    with Rest(site) as rest:
        rest.user("ada")
        rest.start("ada")
        pid = site.server_pid("ada")
    hubs = [site.hub(number) for number in HUBS]

    assert site.interrupt() == 0

    assert [hub.is_running() for hub in hubs] == [False, False]
    assert site.records("ada") == []
    assert not psutil.pid_exists(pid)
    assert registered(server, database) == set()
    assert site.output.count("servers.stopping") == 1


def test_only_one_hub_makes_the_first_administrators_link(server: Postgres, database: str) -> None:
    settings = f"c.Perijove.db_url = {server.url(database)!r}\nc.Perijove.hubs = {len(HUBS)}\n"
    with unstarted_site(settings) as site:
        site.start()
        eventually(lambda: registered(server, database) == {holder(number) for number in HUBS})
        link = site.first_admin_link

        assert site.output.count("/hub/welcome?key=") == 1
        assert "account" in httpx.get(link, trust_env=False).text


#: as of a spawner whose servers every hub can reach
ANYWHERE = """
from perijove.spawners.local import LocalSpawner
LocalSpawner.place = classmethod(lambda cls, settings: "")
"""


def test_a_deployment_with_other_secrets_or_servers_elsewhere_does_not_join_and_says_what_to_do(
    site: Site, server: Postgres, database: str
) -> None:
    """
    Two deployments over one database, as on two machines.
    """
    settings = f"c.Perijove.db_url = {server.url(database)!r}\nc.Perijove.hub_name = 'other'\n"
    with unstarted_site(OPEN_HOUSE + settings) as other:
        other.start(wait=False)
        eventually(lambda: "hub.unusable_configuration" in other.output, within=3 * PATIENCE)
        refused = other.wait()
        said = other.output

        for name in ("signing-key.pem", "cookie-secret"):
            theirs, ours = site.state / "hub" / name, other.state / "hub" / name
            owner = ours.stat()
            shutil.copy2(theirs, ours)
            os.chown(ours, owner.st_uid, owner.st_gid)
        other.start(wait=False)
        refused_again = other.wait()
        said_again = other.output.removeprefix(said)

        other.config.write_text(other.config.read_text() + ANYWHERE)
        other.start()
        eventually(lambda: "other-1#1" in registered(server, database))

        assert other.interrupt() == 0
        assert "servers.left_to_others" in other.output
        assert registered(server, database) == {holder(number) for number in HUBS}
    assert (refused, refused_again) == (EXIT_UNUSABLE, EXIT_UNUSABLE)
    assert "Start this hub on the machine of those, with the same c.Perijove.runtime_dir" in said_again
    assert f"copy {other.state}/hub/signing-key.pem from the machine of one of those" in said
