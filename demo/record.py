"""Films docs/demo.md: its commands run for real, one after the other."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloud_analytics.dashboard.app import PAGES
from cloud_analytics.errors import PipelineError
from demo.browser import opened
from demo.film import Film
from demo.script import Scene
from demo.terminal import Output, Screen, run, serving

_LEFT_OUT = "jupyter lab"  # for a person to work in: what it shows stands in the notebooks
_DASHBOARD_VIEWS, _REPORT_VIEWS = 2, 5  # windows that are shown of a page, from its top


@dataclass
class Recorder:
    """Runs the script's commands in `folder`, which is empty at first, and films them."""

    folder: Path
    film: Film = field(default_factory=Film)
    said: list[str] = field(default_factory=list)  # the transcript: commands and what they wrote

    def record(self, script: list[Scene]) -> None:
        """Film all scenes. PipelineError where a command fails."""
        for scene in script:
            screen = Screen()
            print(scene.title, flush=True)
            for command in scene.commands:
                if command.startswith("cloud-analytics dashboard"):
                    self._dashboard(screen, command, scene.title)
                elif not command.startswith(_LEFT_OUT):
                    self._command(screen, self.filled(command), scene.title)

    def _command(self, screen: Screen, command: str, title: str) -> None:
        output = self._noted(command, run(command, self.folder, self._environment()))
        self.film.play(screen, command, output, title)
        page = re.search(r"--out (\S+\.html)", command)
        if page:
            written = self.folder / page[1]
            written.write_text(self._relative(written.read_text(encoding="utf-8")), encoding="utf-8")
            with opened() as browser:
                browser.go(written.as_uri())
                self.film.look(browser, f"{title}   ·   {page[1]}", _REPORT_VIEWS)

    def _dashboard(self, screen: Screen, command: str, title: str) -> None:
        with serving(command, self.folder, self._environment()) as output, opened() as browser:
            output = self._noted(command, output)
            self.film.play(screen, command, output, title)
            browser.go(output.address)
            for name in PAGES:
                browser.follow(name)
                self.film.look(browser, f"{title}   ·   {name}", _DASHBOARD_VIEWS)

    def _environment(self) -> dict[str, str]:
        # The cloud-analytics of this interpreter, which lies beside it; the recording opens the window itself.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "STREAMLIT_SERVER_HEADLESS": "true"}

    def _noted(self, command: str, output: Output) -> Output:
        """The output without the folder's path, after it went into the transcript."""
        output = replace(output, chunks=tuple((at, self._relative(text)) for at, text in output.chunks))
        self.said += [f"$ {command}", f"({output.seconds:.1f} s)", output.text]
        if output.status:
            raise PipelineError(f"`{command}` ended with exit status {output.status}: {output.text[-400:]}")
        return output

    def _relative(self, text: str) -> str:
        """The text with paths as they look from the folder: where the film is made is nobody's business."""
        return text.replace(f"{self.folder}{os.sep}", "")

    def filled(self, command: str) -> str:
        """The command with its placeholders filled: the organisation that `run` names, and a day that stands out."""
        text = "\n".join(self.said)
        org = re.search(r"--org (org_\w+)", text)
        day = re.search(r"^(\d{4}-\d\d-\d\d) +(\w+) .*×", text, re.MULTILINE)
        values = {"ORG": org and org[1], "DATE": day and day[1], "SERVICE": day and day[2]}
        return " ".join(values.get(word) or word for word in command.split(" "))
