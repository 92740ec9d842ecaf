#!/usr/bin/env python3
"""How large is a listening report, and how soon does it open?

The default model on clips of fold 5 of ESC-10, beside a floor or two:
    python benchmarks/report.py --data_folder ../shared/data/ESC-10 \
        --out results/report.html
Opens the page in chromium as a visitor would, three times; needs playwright.
"""

import argparse
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from focalaudio.brains import InterpreterBrain
from focalaudio.brains.reporting import Reporter
from focalaudio.data.pipelines import open_esc50
from focalaudio.models import load_model

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def write_report(arguments):
    """Interpret the fold; return the page and the seconds that it took."""
    model = load_model()
    data = open_esc50(
        arguments.data_folder,
        [1, 2, 3],
        [4],
        [5],
        model.reader,
        labels=model.labels,
    )
    interpreter = model.interpreter()
    compared = [model.interpreter(method=name) for name in arguments.compare]
    compared += [interpreter.at_quantile(q) for q in arguments.quantiles]
    arguments.out.unlink(missing_ok=True)
    reporter = Reporter(
        arguments.out,
        interpreter,
        model.labels,
        max_clips=arguments.max_clips,
        train_data=data.train,
        reader=model.reader,
        n_neighbors=arguments.n_neighbors,
        listening_test=arguments.listening_test,
    )
    brain = InterpreterBrain(
        modules={"interpreter": interpreter},
        hparams={
            "interpreter": interpreter,
            "compared": compared,
            "labels": model.labels,
            "reporter": reporter,
        },
    )
    start = time.perf_counter()
    brain.evaluate(data.test, test_loader_kwargs={"batch_size": 8})
    path = reporter.finish(brain.rows(), interpreter.settings)
    return path, time.perf_counter() - start


def open_page(path):
    """Return the seconds until the first picture is drawn, of each visit."""
    seconds = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=FLAGS
        )
        for _ in range(3):
            page = browser.new_page()
            start = time.perf_counter()
            page.goto(path.resolve().as_uri())
            page.wait_for_selector("canvas[data-drawn], #trial")
            seconds.append(time.perf_counter() - start)
            page.close()
        browser.close()
    return seconds


def main():
    """Write a page and measure it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--out", type=Path, default=Path("results/report.html"))
    parser.add_argument("--max_clips", type=int)
    parser.add_argument("--n_neighbors", type=int, default=2)
    parser.add_argument("--compare", nargs="*", default=[])
    parser.add_argument("--quantiles", nargs="*", type=float, default=[])
    parser.add_argument("--listening_test", action="store_true")
    arguments = parser.parse_args()
    path, seconds = write_report(arguments)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB in {seconds:.0f} s")
    visits = open_page(path)
    print(f"drawn after {median(visits):.2f} s, of {len(visits)} visits")


if __name__ == "__main__":
    main()
