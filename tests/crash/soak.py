"""The long crash test: `python -m tests.crash.soak --kills 50`.

One lake and one Cassandra node live through rounds. In each round new files arrive in landing, an old one grows, and
the rules or a master change; then drivers (`run`, `bronze`, `stream`, `stream --follow`, `reconcile`, `serve`)
are killed with SIGKILL one after the other, in a transaction or at a random second, now and then together with the
node. At the end of the round one `run` may finish: every zone must hold what a clean run over the same landing folder
gives a new lake, every serving table what Gold holds, and nothing half done may be left.

With `--follow` the drivers are all `stream --follow`, and files keep arriving while they live and die.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import repeat
from pathlib import Path

from cloud_analytics.config import load
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.session import build_session
from tests.crash.harness import (
    Driver,
    Moment,
    configure,
    contents,
    kill_node,
    leftovers,
    node_ended,
    served_differences,
)
from tests.integration import hostile
from tests.integration.lakes import differing, write_landing

KILLS_A_ROUND = 10


class Soak:
    """One lake, killed again and again."""

    def __init__(self, folder: Path, seed: int, follow: bool) -> None:
        self.dice, self.follow = random.Random(seed), follow
        self.lake, self.landing = folder / "lake", write_landing(folder / "landing", {})
        self.confs = [configure(folder / f"conf_{hours}", tolerance=hours) for hours in (24, 25)]
        self.clean = folder / "clean"
        self.spark = build_session(load(self.confs[0]).pipeline.spark, quick_start=True)
        self.kills = self.round = 0
        self.longest = 10.0
        self.began = time.monotonic()

    def say(self, line: str) -> None:
        print(f"{time.monotonic() - self.began:7.0f} s  {line}", flush=True)

    def arrive(self) -> None:
        """What is new in this round: three files, more lines in an old one, another rule or another master."""
        stream = self.landing / "usage_events_stream"
        old = sorted(stream.iterdir())
        lines = hostile.regular(12, f"round{self.round:02}")
        lines += ["not json", hostile.event(f"late{self.round}", timestamp="2025-05-01T00:00:00Z"), lines[0]]
        lines += [hostile.event("everywhere", timestamp=f"2025-05-{self.round % 28 + 1:02}T10:00:00Z")]
        self.dice.shuffle(lines)
        for part in range(3):
            (stream / f"round{self.round:02}_{part}.jsonl").write_text("\n".join(lines[part::3]) + "\n")
        if old:
            with self.dice.choice(old).open("a") as grows:
                grows.write(hostile.event(f"grown{self.round}") + "\n")
        if self.round % 3 == 2:
            with (self.landing / "users.csv").open("a") as users:
                users.write(f",2025-07-15,True,admin,,org_a,user_r{self.round},\n")

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Meanwhile files come one by one: new events, and copies of earlier ones under names before and after."""
        stop, dice, stream = threading.Event(), random.Random(self.dice.random()), self.landing / "usage_events_stream"
        earlier: list[str] = []

        def arrive() -> None:
            number = 0
            while not stop.wait(dice.uniform(0.5, 5)):  # on a slow machine, too, a round's files are soon settled
                number += 1
                lines = dice.sample(hostile.regular(6, f"live{self.round:02}_{number}"), 12)
                copies = dice.sample(earlier, min(len(earlier), 3))
                earlier.extend(lines)
                lines += [*copies, copies[0].replace('"value"', ' "value"'), "not json"] if copies else []
                name = f"{dice.choice('abcdefghijklmnopqrstuvwxyz')}{self.round:02}_{number}.jsonl"
                (stream / f"_{name}").write_text("\n".join(lines) + "\n")
                (stream / f"_{name}").rename(stream / name)

        thread = threading.Thread(target=arrive)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @property
    def conf(self) -> Path:
        return self.confs[self.round % 2]

    def commands(self) -> Iterator[tuple[str, ...]]:
        """Each kind in turn, in another order each time."""
        there = ("--landing", str(self.landing))
        followed = ("stream", "--follow", "--trigger", "1 second", *there)
        if self.follow:
            yield from repeat(followed)
        kinds = [
            ("run", *there), ("stream", *there), ("reconcile", "--compact", *there), ("serve",), ("bronze", *there),
            followed, ("run", *there), ("reconcile", *there),
        ]  # fmt: skip
        while True:
            self.dice.shuffle(kinds)
            yield from kinds

    def moment(self, command: tuple[str, ...]) -> Moment:
        if ("--follow" in command and not self.follow) or self.dice.random() < 0.3:
            return Moment("seconds", self.dice.uniform(0.5, self.longest))
        delay = self.dice.choice([0.0, self.dice.uniform(0, 0.4)])
        return Moment(self.dice.choice(["begun", "decided", "done"]), self.dice.choice([1, 1, 2, 2, 3, 4, 5]), delay)

    def kill_one(self, command: tuple[str, ...]) -> None:
        moment, began = self.moment(command), time.monotonic()
        with Driver(self.lake, self.conf, *command) as driver:
            if not driver.until(moment):
                driver.succeed()
                self.say(f"          {command[0]} ended before {moment}")
                return
            left = driver.kill()
        self.kills += 1
        node = " and the node" if self.dice.random() < 0.12 and kill_node(self.lake) else ""
        words = " ".join(word for word in command[:2] if word != "--landing")
        self.say(f"kill {self.kills:3}  {words}{node}: {moment}; left {left}")
        self.longest = max(self.longest, min(40.0, time.monotonic() - began))

    def settle(self) -> list[str]:
        """Let one run finish; returns what differs from a clean run and from Gold."""
        with Driver(self.lake, self.conf, "run", "--landing", str(self.landing)) as last:
            last.succeed()
        shutil.rmtree(self.clean, ignore_errors=True)
        Pipeline(Lake(self.spark, str(self.clean)), str(self.landing), load(self.conf)).run()
        found = differing(contents(self.lake), contents(self.clean))
        return [*found, *served_differences(self.lake), *leftovers(self.lake)]

    def go(self, kills: int) -> bool:
        commands = self.commands()
        while self.kills < kills:
            self.arrive()
            until = min(kills, self.kills + KILLS_A_ROUND)
            with self.arriving() if self.follow else nullcontext():
                while self.kills < until:
                    self.kill_one(next(commands))
            found = self.settle()
            rows = contents(self.lake)["silver/usage_events"].total()
            self.say(
                f"round {self.round + 1}: {rows} events in Silver; " + ("; ".join(found) or "as after a clean run")
            )
            if found:
                return False
            self.round += 1
        return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--follow", action="store_true", help="Streams that are followed, while files keep arriving.")
    parser.add_argument("--folder", type=Path, help="Where to work, new or empty; kept. Default: a temporary one.")
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {chosen.seed}, in {folder}", flush=True)
    with node_ended(folder / "lake"):
        soak = Soak(folder, chosen.seed, chosen.follow)
        survived = soak.go(chosen.kills)
        soak.say(f"{soak.kills} kills, {soak.round} rounds: " + ("survived" if survived else "BROKEN, see above"))
        soak.spark.stop()
    if survived and chosen.folder is None:
        shutil.rmtree(folder)
    return 0 if survived else 1


if __name__ == "__main__":
    sys.exit(main())
