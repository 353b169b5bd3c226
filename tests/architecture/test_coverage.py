"""
What decides about every byte of every user is covered to the last branch, each file from its own tests.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from coverage import Coverage

ROOT: Final = Path(__file__).parents[2]
PROXY: Final = Path("src", "perijove", "proxy")
TESTS: Final = Path("tests", "unit", "proxy")
CORE: Final = (
    "access_log",
    "answers",
    "confine",
    "errors",
    "forwarding",
    "framing",
    "gate",
    "heads",
    "limits",
    "outages",
    "own_fields",
    "pace",
    "passing",
    "paths",
    "redirects",
    "relocation",
    "renewal",
    "requests",
    "responses",
    "revocation",
    "routes",
    "servernames",
    "statistics",
    "targets",
)
FILES: Final = [*(PROXY / "core" / f"{name}.py" for name in CORE), PROXY / "net" / "exchange.py"]
PATIENCE: Final = 120


def own_test(path: Path) -> Path:
    """Where the tests of *path* are."""
    return TESTS / path.relative_to(PROXY).with_name(f"test_{path.name}")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The branches that each test has taken, in a process of its own: what is imported already is not measured."""
    data = tmp_path_factory.mktemp("coverage") / "data"
    tests = [str(own_test(path)) for path in FILES]
    flags = (
        "-q",
        "-p",
        "no:cacheprovider",
        "--cov=perijove.proxy",
        "--cov-branch",
        "--cov-context=test",
        "--cov-report=",
    )
    environment = os.environ | {"COVERAGE_FILE": str(data), "PYTHONPATH": str(ROOT / "src")}
    environment.pop("PERIJOVE_TEST_NOTHING_SKIPPED", None)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *flags, *tests],
        check=False, capture_output=True, cwd=ROOT, env=environment, timeout=PATIENCE, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    return data


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_that_decides_is_covered_by_its_own_tests(path: Path, measured: Path) -> None:
    """
    A branch that only some other test passes through, by accident, is a branch that nobody has thought about.
    """
    coverage = Coverage(data_file=measured, config_file=False)
    coverage.set_option("run:branch", value=True)
    coverage.load()
    found = [file for file in coverage.get_data().measured_files() if file.endswith(path.as_posix())]
    said = io.StringIO()
    # What runs at import has no context.
    contexts = ["^$", f"^{own_test(path).as_posix()}::"]

    percent = coverage.report(include=found, contexts=contexts, file=said, show_missing=True)

    assert percent == 100, said.getvalue()
