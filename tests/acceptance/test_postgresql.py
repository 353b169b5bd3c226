"""
A deployment over PostgreSQL, and what people notice when that goes away: those who work, nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgres import Postgres, running_postgres
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, unstarted_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(180)
PASSWORD = "correct/horse@battery"


@pytest.fixture
def server() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


@pytest.fixture
def site(server: Postgres) -> Iterator[Site]:
    """Its database asks for a password, which comes from the environment."""
    name = server.create()
    server.add_role("perijove", PASSWORD, name)
    db_url = server.url(name).replace("//hub@", "//perijove@")
    with unstarted_site(f"{OPEN_HOUSE}\nc.Perijove.db_url = {db_url!r}\n") as made:
        made.start(environ={"PERIJOVE_DB_PASSWORD": PASSWORD})
        yield made


def started_at(visitor: Visitor) -> str:
    """When their server began: another one would say another time."""
    answer = visitor.get(f"/user/{visitor.name}/api/status")
    assert answer.status_code == 200
    return str(answer.json()["started"])


def test_people_work_on_while_the_database_is_away_and_everything_goes_on_when_it_is_back(
    server: Postgres, site: Site
) -> None:
    with Visitor(site, "ada") as ada, Visitor(site, "bob") as bob, Rest(site) as rest:
        assert ada.sign_in().status_code == 200
        before, hub = eventually(lambda: started_at(ada)), site.part("hub").pid

        server.stop()
        page = ada.get("/hub/home")
        answer = rest("GET", "/hub/api/users")

        assert started_at(ada) == before
        assert page.status_code == 503
        assert "Back in a moment" in page.text
        assert page.headers["retry-after"]
        assert (answer.status_code, answer.json()["status"]) == (503, 503)
        assert answer.headers["retry-after"]

        server.start()
        eventually(lambda: ada.get("/hub/home").status_code == 200)
        assert bob.sign_in().status_code == 200
        assert started_at(ada) == before
        assert site.part("hub").pid == hub
        assert [user["name"] for user in rest("GET", "/hub/api/users").json()] == ["ada", "bob"]
    assert PASSWORD not in site.output
    assert "Traceback" not in site.output


def test_a_hub_that_is_restarted_while_the_database_is_away_waits_for_it(server: Postgres, site: Site) -> None:
    """
    A machine that starts both may start them in any order; and a hub that gave up would take the proxy with it.
    """
    with Visitor(site, "ada") as ada:
        assert ada.sign_in().status_code == 200
        before = eventually(lambda: started_at(ada))

        server.stop()
        site.wait_for_new_part("hub", site.kill_part("hub"))
        eventually(lambda: "database.awaited" in site.output)
        assert started_at(ada) == before

        server.start()
        eventually(lambda: ada.get("/hub/home").status_code == 200)
        assert started_at(ada) == before
