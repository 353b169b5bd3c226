"""
The two kinds of template: what notebook servers are copied from, and what kernels are.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from perijove.kit.clock import SystemClock
from perijove.launcher.layout import Layout
from perijove.launcher.reaper import Reaper
from perijove.launcher.template_files import Installed, installed
from perijove.launcher.template_process import TemplateProcess, clean_environment
from perijove.launcher.templates import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateKinds:
    """Makes a template of either kind."""

    layout: Layout
    reaper: Reaper
    #: the launcher's
    environment: Mapping[str, str]
    #: how many open files servers and kernels may have: soft and hard limit
    files: tuple[int, int]
    #: forks
    recycle_after: int

    def of_servers(self, app: str) -> Template:
        """Notebook servers. Flag -P: never import from the working directory."""
        return self._template(app, (), flags=("-P",), environment=clean_environment(self.environment))

    def of_kernels(self, app: str, modules: tuple[str, ...]) -> Template:
        """
        IPython's kernel. What programs it starts are told how its interpreter was started, so that is as jupyter_client
        would start it: without -P, in a folder that only root can write to.
        """
        environment = {
            **clean_environment(self.environment),
            "MPLCONFIGDIR": str(self.layout.template_cache()),
            # The debugger's advice about how to start an interpreter would stand in the log for nobody.
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        return self._template(app, modules, flags=(), environment=environment)

    def _template(
        self, app: str, modules: tuple[str, ...], *, flags: tuple[str, ...], environment: Mapping[str, str]
    ) -> Template:
        return Template(
            app=app,
            modules=modules,
            start=partial(TemplateProcess, flags=flags, environment=environment, files=self.files, reaper=self.reaper),
            installed=Installed(installed, SystemClock().monotonic),
            recycle_after=self.recycle_after,
        )


def raise_limit_of_files() -> tuple[int, int]:
    """
    Let this process have as many open files as may be, for one a kernel; answers the limits before, which are what
    servers begin with.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard
