from __future__ import annotations

from pathlib import Path

import pytest
from traitlets.config import Config

from perijove.config.check import build, check_names
from perijove.config.errors import FileUnreadable, UnknownName, WrongValue
from perijove.config.sources import default_runtime_dir, default_state_dir, merged, read_file, read_flags
from perijove.config.traits import Perijove

KNOWN = {"Perijove": Perijove}


def file_with(text: str, folder: Path) -> Path:
    path = folder / "config.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_sets_traits_through_c(tmp_path: Path) -> None:
    path = file_with("c = get_config()\nc.Perijove.port = 9000\n", tmp_path)

    assert read_file(path).Perijove.port == 9000


def test_jupyterhub_is_another_name_for_perijove(tmp_path: Path) -> None:
    """
    Configuration files of JupyterHub are used as they are.
    """
    path = file_with("c.JupyterHub.port = 9001\n", tmp_path)

    perijove = build(Perijove, merged(read_file(path)), file=path)

    assert perijove.port == 9001


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = file_with("c.Perijove.port = 9000\n", tmp_path)

    perijove = build(Perijove, merged(read_file(path), read_flags(["--Perijove.port=9002"])), file=path)

    assert perijove.port == 9002


def test_a_flag_that_looks_like_a_number_may_be_text() -> None:
    perijove = build(Perijove, read_flags(["--Perijove.ip=10"]), file=None)

    assert perijove.ip == "10"


def test_a_flag_may_be_a_list() -> None:
    perijove = build(Perijove, read_flags(["--Perijove.admin_users={'ada'}"]), file=None)

    assert perijove.admin_users == {"ada"}


@pytest.mark.parametrize("word", ["--port", "port=1", "--Perijove=1", "--a.b.c=1", "-x", "--Perijove.port"])
def test_a_word_that_is_no_trait_is_refused(word: str) -> None:
    with pytest.raises(WrongValue, match="is not an option"):
        read_flags([word])


def test_an_unknown_trait_is_refused_with_file_line_and_nearest_name(tmp_path: Path) -> None:
    """
    A mistyped option that is silently ignored costs an administrator an evening.
    """
    path = file_with("\n\nc.JupyterHub.prot = 9000\n", tmp_path)

    with pytest.raises(UnknownName) as caught:
        check_names(merged(read_file(path)), KNOWN, file=path)

    assert str(caught.value) == f"{path}:3: there is no c.Perijove.prot. Did you mean c.Perijove.port?"


def test_an_unknown_class_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    path = file_with("c.Perijov.port = 9000\n", tmp_path)

    with pytest.raises(UnknownName, match=r"config\.py:1: there is no c\.Perijov\. Did you mean c\.Perijove\?"):
        check_names(merged(read_file(path)), KNOWN, file=path)


def test_a_value_of_the_wrong_type_is_refused_with_file_line_and_name(tmp_path: Path) -> None:
    path = file_with("c.Perijove.port = 'eighty'\n", tmp_path)

    with pytest.raises(WrongValue, match=r"config\.py:1: c\.Perijove\.port: .*"):
        build(Perijove, read_file(path), file=path)


@pytest.mark.parametrize(
    ("text", "line"),
    [("c.Perijove.port = \n", 1), ("x = 1\nc.Perijove.port = 1 / 0\n", 2), ("import no_such_module_anywhere\n", 1)],
)
def test_a_broken_file_is_refused_with_its_line(text: str, line: int, tmp_path: Path) -> None:
    path = file_with(text, tmp_path)

    with pytest.raises(FileUnreadable, match=rf"config\.py:{line}: "):
        read_file(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="No such file"):
        read_file(tmp_path / "absent.py")


def test_root_keeps_state_and_sockets_in_the_system_s_places() -> None:
    assert default_state_dir({}, uid=0) == Path("/var/lib/perijove")
    assert default_runtime_dir({}, uid=0) == Path("/run/perijove")


def test_others_follow_xdg() -> None:
    environ = {"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/user/7"}

    assert default_state_dir(environ, uid=7) == Path("/home/ada/.local/state/perijove")
    assert default_state_dir({**environ, "XDG_STATE_HOME": "/data"}, uid=7) == Path("/data/perijove")
    assert default_runtime_dir(environ, uid=7) == Path("/run/user/7/perijove")
    assert default_runtime_dir({}, uid=7) == Path("/tmp/perijove-7")


def test_merging_leaves_its_arguments_alone() -> None:
    first = Config({"JupyterHub": {"port": 1}})

    merged(first, Config({"Perijove": {"port": 2}}))

    assert first == Config({"JupyterHub": {"port": 1}})
