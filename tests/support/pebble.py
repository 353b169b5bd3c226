"""
Pebble, the ACME server that Let's Encrypt tests clients with, on free ports of loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.site import PATIENCE, eventually, free_port

#: A domain that it never issues a certificate for.
BLOCKED: Final = "blocked-domain.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pebble:
    """A running authority."""

    #: URL of its directory
    directory: str
    #: authority of the directory's own certificate
    ca: Path
    #: authority of what it issues
    root: Path
    #: where it looks for HTTP-01 challenges
    http_port: int


@contextmanager
def running_pebble(folder: Path) -> Iterator[Pebble]:
    """Pebble with a name server for which every name is this machine; ended by pid."""
    if shutil.which("pebble") is None or shutil.which("pebble-challtestsrv") is None:
        pytest.skip("pebble is not installed (apt install pebble)")
    authority = Authority(folder)
    own = authority.issue("127.0.0.1")
    listen, manage, http, dns, dns_manage = (free_port() for _ in range(5))
    config = folder / "pebble.json"
    config.write_text(
        json.dumps(
            {
                "pebble": {
                    "listenAddress": f"127.0.0.1:{listen}",
                    "managementListenAddress": f"127.0.0.1:{manage}",
                    "certificate": str(own.cert),
                    "privateKey": str(own.key),
                    "httpPort": http,
                    "tlsPort": free_port(),
                    "ocspResponderURL": "",
                    "externalAccountBindingRequired": False,
                    "domainBlocklist": [BLOCKED],
                }
            }
        )
    )
    names = ["pebble-challtestsrv", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1"]
    names += ["-dns01", f"127.0.0.1:{dns}", "-http01", "", "-https01", "", "-tlsalpn01", ""]
    names += ["-management", f"127.0.0.1:{dns_manage}"]
    authority_words = ["pebble", "-config", str(config), "-dnsserver", f"127.0.0.1:{dns}"]
    # Without its tests of a client's patience: the library asks again only once when a nonce is refused.
    environ = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    with (folder / "pebble.log").open("wb") as log:
        processes = [
            subprocess.Popen(words, env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            for words in (names, authority_words)
        ]
        try:
            root = folder / "root.pem"
            root.write_bytes(eventually(lambda: _root(manage, authority.path)))
            yield Pebble(directory=f"https://127.0.0.1:{listen}/dir", ca=authority.path, root=root, http_port=http)
        finally:
            for process in processes:
                process.kill()
                process.wait(timeout=PATIENCE)


def _root(port: int, ca: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(ca))
    return httpx.get(f"https://127.0.0.1:{port}/roots/0", verify=context).raise_for_status().content
