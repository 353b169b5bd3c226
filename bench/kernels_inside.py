"""
What bench/kernels.py measures, in a notebook server's place and as its user: a line for each kernel.

Run by path, without `PYTHONPATH`, which would be a reason not to fork.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from perijove.singleuser.kernels import provisioner  # found by the line before

#: what the first cell of people looks like
CELL = """
import numpy as np, pandas as pd, matplotlib.pyplot as plt
print(pd.DataFrame({"a": np.arange(5)}).a.sum())
"""
#: seconds until a kernel has come to rest
REST = 1.0
PATIENCE = 60


def measure(manager: KernelManager) -> dict[str, Any]:
    """Start a kernel and let it work."""
    began = time.perf_counter()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    # Not `wait_for_ready`, which then waits for 0.2 s of silence.
    client.kernel_info()
    client.get_shell_msg(timeout=PATIENCE)
    ready = time.perf_counter() - began
    process = psutil.Process(manager.provisioner.pid)
    times = process.cpu_times()
    time.sleep(REST)
    at_rest = process.memory_full_info().uss
    began = time.perf_counter()
    reply = client.execute_interactive(CELL, timeout=PATIENCE, output_hook=lambda _: None)
    assert reply["content"]["status"] == "ok", reply
    cell = time.perf_counter() - began
    time.sleep(REST)
    with_libraries = process.memory_full_info().uss
    client.stop_channels()
    forked = type(manager.provisioner.process).__name__ == "ForkedKernel"
    manager.shutdown_kernel(now=True)
    memory = {"rest": at_rest / 2**20, "libraries": with_libraries / 2**20}
    return {"forked": forked, "ready": ready, "cpu": times.user + times.system, "cell": ready + cell, **memory}


def main() -> None:
    provisioner.register()
    for run in range(int(sys.argv[1]) + 1):
        for name in (provisioner.NAME, "local-provisioner"):
            KernelProvisionerFactory.instance().default_provisioner_name = name
            folder = tempfile.mkdtemp(dir=os.environ["JUPYTER_RUNTIME_DIR"])
            found = measure(KernelManager(transport="ipc", connection_file=f"{folder}/k.json"))
            if run:  # the first of each warms the machine
                print("ROW", json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
