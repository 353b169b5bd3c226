"""
Run one target: `python -m fuzz.run TARGET [libFuzzer's flags, folders or files]`.
"""

from __future__ import annotations

import logging
import sys

import atheris
import structlog

# Only what is to be explored is instrumented: h11 and the tests' own parts would drown it.
with atheris.instrument_imports(include=["perijove.proxy"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Fuzz for as long as the flags say; a finding ends it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    _, target, *flags = sys.argv
    atheris.Setup([sys.argv[0], *flags], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
