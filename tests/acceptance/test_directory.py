"""
A sign-in method that knows people: what they are called, which roles they have; and who started what, told to a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, running_site
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(240)

#: Ada assists the class, Bob is in it; titles can be changed in a file while the hub runs
DIRECTORY = """
import json, logging, os
from perijove.authenticators.base import AuthResult
from perijove.authenticators.dummy import DummyAuthenticator

people = os.path.join(c.Perijove.state_dir, "hub", "people.json")


class Directory(DummyAuthenticator):
    async def authenticate(self, form):
        known = await super().authenticate(form)
        with open(people) as file:
            entry = json.load(file)[known.name]
        return AuthResult(
            name=known.name,
            user_info={"display_name": entry["called"], "color": "teal", "room": 12},
            roles=tuple({"name": title} for title in ("user", *entry["titles"])),
        )

    async def load_managed_roles(self):
        return [{"name": "grader", "scopes": ["list:users", "read:users:name"]}]


c.JupyterHub.authenticator_class = Directory
c.Authenticator.allow_all = True
c.Authenticator.manage_roles = True
c.EventLogger.handlers = [logging.FileHandler(os.path.join(c.Perijove.state_dir, "events"), delay=False)]
"""


def wrote(site: Site, **titles: list[str]) -> None:
    """Change the directory."""
    text = json.dumps({name: {"called": f"Dr. {name.title()}", "titles": given} for name, given in titles.items()})
    (site.state / "hub" / "people.json").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """With that sign-in method."""
    with running_site(OPEN_HOUSE + DIRECTORY) as running:
        yield running


def test_people_are_called_and_allowed_what_the_directory_says(site: Site) -> None:
    wrote(site, ada=["grader"], bob=[])
    with Visitor(site, "ada") as ada, Visitor(site, "bob") as bob, Rest(site) as script:
        ada.sign_in()
        bob.sign_in()
        eventually(lambda: ada.get("/user/ada/api/me").status_code == 200)

        me = ada.get("/user/ada/api/me").json()["identity"]
        model = script("GET", "/hub/api/users/ada").json()
        seen = [ada.get("/hub/api/users").status_code, bob.get("/hub/api/users").status_code]

    assert (me["display_name"], me["color"]) == ("Dr. Ada", "teal")
    assert model["user_info"] == {"display_name": "Dr. Ada", "color": "teal", "room": 12}
    assert set(model["roles"]) == {"user", "grader"}
    assert seen == [200, 403]

    wrote(site, ada=[], bob=[])
    with Visitor(site, "ada") as ada:
        ada.sign_in()
        assert ada.get("/hub/api/users").status_code == 403


def test_a_start_and_a_stop_are_a_line_each_in_the_file_of_events(site: Site) -> None:
    wrote(site, cleo=[])
    with Visitor(site, "cleo") as cleo, Rest(site) as script:
        cleo.sign_in()
        script.start("cleo")
        script.stop("cleo")

    lines = [json.loads(line) for line in (site.state / "events").read_text(encoding="utf-8").splitlines()]
    of_hers = [line for line in lines if line["username"] == "cleo"]
    assert [line["action"] for line in of_hers] == ["start", "stop"]
    assert {line["__schema__"] for line in of_hers} == {"https://schema.jupyter.org/jupyterhub/events/server-action"}
