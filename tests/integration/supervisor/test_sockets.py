from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from perijove.supervisor.accounts import folder, lock
from perijove.supervisor.errors import AddressInUse, AddressRefused, AlreadyRunning, FolderUnusable
from perijove.supervisor.sockets import listen_tcp, listen_unix


def test_a_port_in_use_is_refused_with_the_option_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(AddressInUse, match=rf"127\.0\.0\.1 port {port} already.*--port"):
            listen_tcp("127.0.0.1", port, trait="port")


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(AddressRefused, match=r"192\.0\.2\.1"):
        listen_tcp("192.0.2.1", 8000, trait="port")


def test_all_interfaces_are_reached_by_ipv4() -> None:
    with listen_tcp("", 0, trait="port") as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            assert client.getpeername()[1] == port


def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    listen_unix(path, gid=None).close()

    with listen_unix(path, gid=None):
        mode = stat.S_IMODE(path.stat().st_mode)

    assert mode == 0o600


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AddressRefused, match="shorter runtime_dir"):
        listen_unix(tmp_path / ("x" * 108), gid=None)


def test_one_folder_serves_one_perijove(tmp_path: Path) -> None:
    with lock(tmp_path / "perijove.lock"), pytest.raises(AlreadyRunning, match=str(os.getpid())):
        lock(tmp_path / "perijove.lock")


def test_a_lock_is_free_again_when_its_holder_is_gone(tmp_path: Path) -> None:
    lock(tmp_path / "perijove.lock").close()

    with lock(tmp_path / "perijove.lock") as held:
        assert not held.closed


def test_a_folder_is_made_with_its_mode(tmp_path: Path) -> None:
    made = folder(tmp_path / "a" / "b", mode=0o700)

    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    with pytest.raises(FolderUnusable, match="state"):
        folder(tmp_path / "state", mode=0o700)


def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    """
    In a place that anybody may write, such as /tmp, a link could lead root or ada anywhere.
    """
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(FolderUnusable, match="link"):
        folder(tmp_path / "link", mode=0o700)
