"""
The scripts of the checkout, as far as they can be asked without making an environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support.site import site_folder

ROOT: Final = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: that is when the interpreter is judged")


@pytest.fixture
def folder() -> Iterator[Path]:
    with site_folder() as made:
        yield made


@pytest.fixture
def checkout(folder: Path) -> Path:
    """What `script/environment` looks at, in a folder with a space in its name."""
    copy = folder / "a checkout"
    (copy / "requirements").mkdir(parents=True)
    shutil.copytree(ROOT / "script", copy / "script")
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "README.md").touch()
    (copy / "src").mkdir()
    (copy / "requirements" / "server.txt").write_text("")
    return copy


def fake(path: Path, script: str) -> Path:
    """A program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def made(folder: Path, checkout: Path) -> Path:
    """An environment that a first start has made."""
    environment = folder / "environment"
    wanted = subprocess.run(["cksum"], input="", capture_output=True, text=True, check=True).stdout.strip()
    fake(environment / "bin" / "perijove", 'echo "run with: $*"')
    fake(environment / "bin" / "python", "echo the network was asked >&2; exit 1")
    (environment / "requirements.stamp").write_text(f"{wanted} server\n")
    (environment / "source.stamp").touch()
    for path in [*checkout.rglob("*"), checkout]:
        os.utime(path, (0, 0))
    return environment


def run(checkout: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept: Mapping[str, str] = {"PATH": os.environ["PATH"], "HOME": str(checkout)}
    return subprocess.run(
        [str(checkout / "script" / script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={**kept, **environment},
    )


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "script").iterdir()))
def test_every_script_is_plain_sh(name: str) -> None:
    """
    Debian's /bin/sh is no bash.
    """
    path = ROOT / "script" / name

    assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0


@needs_root
@pytest.mark.parametrize(("mode", "status"), [(0o755, 0), (0o700, 1), (0o757, 1)])
def test_as_root_the_interpreter_is_for_everybody_to_read_and_for_root_to_write(
    mode: int, status: int, checkout: Path, folder: Path
) -> None:
    """
    Users' servers run it as those users, so one below root's home is of no use; and root runs it, too.
    """
    with tempfile.TemporaryDirectory(dir=Path(sys.prefix).parent) as place:
        python = Path(place, "python3")
        python.symlink_to(Path(sys.executable).resolve())
        Path(place).chmod(mode)

        ran = run(checkout, "server", PYTHON=str(python), PERIJOVE_ENVIRONMENT=str(made(folder, checkout)))

    assert ran.returncode == status
    assert ("every user may read and only root may" in ran.stderr) is bool(status)
    assert ("apt install python3-venv" in ran.stderr) is bool(status)


def test_a_python_without_venv_is_refused_with_what_to_install(checkout: Path, folder: Path) -> None:
    """
    Debian's own Python comes without venv and pip. Another one is not taken instead: this one was asked for.
    """
    python = fake(folder / "my python3", "exit 1")

    refused = run(checkout, "server", PYTHON=str(python), PERIJOVE_ENVIRONMENT=str(folder / "environment"))

    assert refused.returncode == 1
    assert "apt install python3-venv" in refused.stderr
    assert not (folder / "environment").exists()


def test_a_second_start_installs_nothing_and_needs_no_network(checkout: Path, folder: Path) -> None:
    """
    It only compares what was installed with what is wanted, and hands its arguments on.
    """
    started = run(checkout, "server", PERIJOVE_ENVIRONMENT=str(made(folder, checkout)))

    assert started.stderr == ""
    assert started.stdout == "run with: \n"
