"""
From the click on “sign in” to the first output, and what a server costs: perijove beside JupyterHub.

    bench/prepare FOLDER && python bench/whole_path.py FOLDER [--runs 5] [--write bench/results/whole_path.md]

Every figure is taken on both in turn, `--runs` times, and given as the median with the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from deployments import Running, jupyterhub, perijove
from report import machine, publish, table

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
CHROMIUM += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE = 120.0
#: what the first cell computes, and its output
CELL, OUTPUT = "print(6 * 7 * 1000)", "42000"
#: seconds without an answer after which a run counts as dropped by JupyterLab and is given again
DROPPED_AFTER = 2.0


@dataclass(slots=True)
class Figures:
    """One row of the table."""

    title: str
    unit: str
    to_reach: str
    values: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return statistics.median(self.values[name])


def request(running: Running, method: str, path: str) -> int:
    """Status of one call with the service's token."""
    call = urllib.request.Request(
        running.origin + path, method=method, headers={"Authorization": f"token {running.token}"}
    )
    try:
        with urllib.request.urlopen(call, timeout=PATIENCE) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def make_user(running: Running, name: str) -> None:
    assert request(running, "POST", f"/hub/api/users/{name}") == 201


def start_and_answer(running: Running, name: str) -> float:
    """Seconds from the REST call that starts a server to the first 200 from it, through the proxy."""
    began = time.monotonic()
    status = request(running, "POST", f"/hub/api/users/{name}/server")
    assert status in {201, 202}, status
    while request(running, "GET", f"/user/{name}/api/status") != 200:
        waited = time.monotonic() - began
        assert waited < PATIENCE
        # Closely at first; later a poll that is too eager would slow down what it waits for.
        time.sleep(0.01 if waited < 1 else 0.2)
    return time.monotonic() - began


def stop(running: Running, name: str) -> None:
    request(running, "DELETE", f"/hub/api/users/{name}/server")


def server_pid(running: Running, name: str) -> int:
    """The process of *name*'s server: perijove's launcher records it, JupyterHub's has it in its environment."""
    for record in running.folder.glob("perijove/servers/*/server.json"):
        launched = json.loads(record.read_text())["launched"]
        if launched["key"] == f"{name}/":
            return int(launched["pid"])
    for process in psutil.Process(running.pid).children(recursive=True):
        with suppress(psutil.Error):
            if process.environ().get("JUPYTERHUB_USER") == name:
                return process.pid
    raise SystemExit(f"no process of {name}'s server in {running.name}")


def unique_memory(running: Running, name: str) -> float:
    """MB that only this server owns (USS), after it has been idle for a few seconds."""
    start_and_answer(running, name)
    time.sleep(5)
    return float(psutil.Process(server_pid(running, name)).memory_full_info().uss) / 1e6


def sign_in(page: Page, running: Running, name: str) -> float:
    """Seconds from the click to the commit of JupyterLab's URL."""
    page.goto(f"{running.origin}/hub/login")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", "a password that does not matter")
    # People type for seconds: whatever the page fetches meanwhile is there.
    page.wait_for_load_state("networkidle")
    began = time.monotonic()
    page.click("[type=submit]", no_wait_after=True)
    page.wait_for_url("**/lab**", wait_until="commit", timeout=PATIENCE * 1000)
    return time.monotonic() - began


def first_output(page: Page, began: float) -> tuple[float, int]:
    """Seconds from *began* to the output of the first cell, and how many runs JupyterLab dropped."""
    page.locator(".jp-LauncherCard[data-category=Notebook]").first.click(timeout=PATIENCE * 1000)
    editor = page.locator(".jp-Notebook .cm-content").first
    editor.click(timeout=PATIENCE * 1000)
    page.keyboard.type(CELL)
    dropped = -1
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        dropped += 1
        page.keyboard.press("Control+Enter")
        try:
            page.locator(".jp-OutputArea-output", has_text=OUTPUT).first.wait_for(timeout=DROPPED_AFTER * 1000)
        except PlaywrightTimeout:
            continue
        return time.monotonic() - began, dropped
    raise SystemExit("the first cell gave no output")


def in_browser(browser: Browser, running: Running, name: str) -> tuple[float, float, int]:
    context = browser.new_context()
    page = context.new_page()
    try:
        to_lab = sign_in(page, running, name)
        output, dropped = first_output(page, time.monotonic() - to_lab)
    finally:
        context.close()
    return to_lab, output, dropped


def measure(deployments: list[Running], runs: int) -> list[Figures]:
    """All rows; the deployments take turns within every run."""
    return [*measure_browser(deployments, runs), *measure_servers(deployments, runs)]


def measure_browser(deployments: list[Running], runs: int) -> list[Figures]:
    lab = Figures("click on “sign in” → JupyterLab's URL", "s", "≤ 0.5 s")
    cell = Figures("click on “sign in” → output of the first cell", "s", "≤ 4.2 s")
    drops = Figures("runs of that cell dropped by JupyterLab", "", "")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        for run in range(runs):
            for running in deployments:
                to_lab, output, dropped = in_browser(browser, running, f"browser{run}")
                lab.note(running.name, to_lab)
                cell.note(running.name, output)
                drops.note(running.name, dropped)
                stop(running, f"browser{run}")
        browser.close()
    return [lab, cell, drops]


def measure_servers(deployments: list[Running], runs: int) -> list[Figures]:
    rest = Figures("REST start → first 200 through the proxy", "s", "≤ 0.3 s")
    ten = Figures("ten started at once → all answer", "s", "≤ 1.5 s")
    memory = Figures("unique memory (USS) of an idle server", "MB", "≤ 30 MB")
    for row, how, count in (
        (rest, lambda running, users: start_and_answer(running, users[0]), 1),
        (ten, at_once, 10),
        (memory, lambda running, users: unique_memory(running, users[0]), 1),
    ):
        for run in range(runs):
            for running in deployments:
                users = [f"row{count}{row.unit.lower()}{run}x{i}" for i in range(count)]
                for user in users:
                    make_user(running, user)
                row.note(running.name, how(running, users))
                for user in users:
                    stop(running, user)
    return [rest, ten, memory]


def at_once(running: Running, users: list[str]) -> float:
    began = time.monotonic()
    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(partial(start_and_answer, running), users))
    return time.monotonic() - began


def as_table(rows: list[Figures], deployments: list[Running]) -> str:
    names = [running.name for running in deployments]
    heads = ["what", *(f"{running.name} {running.version}" for running in deployments), "ratio", "to reach"]
    lines = []
    for row in rows:
        medians = [row.median(name) for name in names]
        cells = [f"{median:.2f} {row.unit}".strip() for median in medians]
        ratio = f"{medians[-1] / medians[0]:.1f}×" if len(medians) > 1 and medians[0] else ""
        lines.append([row.title, *cells, ratio, row.to_reach])
    return table(heads, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", type=Path, nargs="?", help="folder made by bench/prepare; without it perijove alone")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", type=Path, help="file for the table")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        deployments = [stack.enter_context(perijove())]
        if arguments.peers:
            deployments.append(stack.enter_context(jupyterhub(arguments.peers)))
        rows = measure(deployments, arguments.runs)
        text = f"{as_table(rows, deployments)}\n\nMedians of {arguments.runs} runs. {machine()}.\n"
        raw = json.dumps({row.title: row.values for row in rows}, indent=2, ensure_ascii=False)
    print(raw)
    publish(text, arguments.write)


if __name__ == "__main__":
    main()
