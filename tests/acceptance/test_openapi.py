"""
The API does what its description says: a program that knows nothing else tries everything that it allows, and more.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rest import TOKEN, Rest
from tests.support.site import Site, unstarted_site

pytestmark = pytest.mark.timeout(300)
#: somebody who may do everything that a scope allows
SETTINGS = f"""
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Perijove.allow_named_servers = True
c.JupyterHub.services = [{{"name": "script", "api_token": "{TOKEN}", "admin": True}}]
"""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with unstarted_site(SETTINGS) as made:
        made.start()
        yield made


def test_every_answer_is_one_that_is_described_and_none_is_a_fault(site: Site, tmp_path: Path) -> None:
    with Rest(site) as rest:
        rest.user("ada")
        assert rest("PUT", "/hub/api/users/ada/servers/gpu").status_code == 201
    words = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{site.origin}/hub/api/openapi.json"]
    words += ["--header", f"Authorization: token {TOKEN}", "--checks", CHECKS]
    # It would be the last call.
    words += ["--exclude-path", "/hub/api/shutdown"]
    words += ["--max-examples", "10", "--seed", "1", "--suppress-health-check", "all", "--request-timeout", "30"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, cwd=tmp_path, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
