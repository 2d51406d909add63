"""What `limner colorize` and `limner segment` take as whole processes, cold: time and peak memory.

    python benchmarks/painting.py [--model NAME|FILE] [--segmenter NAME|FILE] [--runs 5]

Photographs are made by enlarging one, saved in three channels as most scans are. libvips' own
decoding and encoding of the same file, timed in the same run without its start, is the measure of
what the machine can do. The limits of `limner segment` are those of a model with 21 classes, as
`voc` is. Prints a Markdown table and one JSON document. This process stays small: a child's peak
memory includes its parent's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "examples/photographs/milk-by-the-sail.jpg"

# name -> (width, height, options of the JPEG)
CASES: dict[str, tuple[int, int, dict[str, bool]]] = {
    "1 megapixel": (1224, 816, {}),
    "24 megapixels": (6000, 4000, {}),
    "24 megapixels, rotated": (6000, 4000, {"rotated": True}),
    "24 megapixels, progressive": (6000, 4000, {"interlace": True}),
    "96 megapixels": (12000, 8000, {}),
}
SEGMENTED = tuple(case for case in CASES if case != "96 megapixels")
HELP = "`limner --help`"


@dataclass(frozen=True)
class Limits:
    """The most that a case may take; None where nothing is set."""

    seconds: float | None = None
    times_libvips: float | None = None
    megabytes: int | None = None


LIMITS = {
    "1 megapixel": Limits(1.0, None, 300),
    "24 megapixels": Limits(2.5, 6, 350),
    "24 megapixels, rotated": Limits(megabytes=500),
    "24 megapixels, progressive": Limits(megabytes=500),
    "96 megapixels": Limits(megabytes=350),
    "segment, 1 megapixel": Limits(1.5, None, 500),
    "segment, 24 megapixels": Limits(megabytes=500),
    "segment, 24 megapixels, rotated": Limits(megabytes=500),
    "segment, 24 megapixels, progressive": Limits(megabytes=500),
    HELP: Limits(0.3),
}

MAKE = """
import sys, json, pyvips
source, target, width, height, options = sys.argv[1:]
options = json.loads(options)
image = pyvips.Image.new_from_file(source).colourspace("srgb")
image = image.resize(int(width) / image.width, vscale=int(height) / image.height)
if options.pop("rotated", False):
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
image.jpegsave(target, Q=95, **options)
"""

COPY = """
import sys, time, pyvips
start = time.perf_counter()
image = pyvips.Image.new_from_file(sys.argv[1], access="sequential")
image.jpegsave(sys.argv[2], Q=95, subsample_mode="off")
print(time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Row:
    what: str
    seconds: float  # median
    fastest: float
    slowest: float
    megabytes: int  # the largest of the runs
    times_libvips: float | None
    limits: Limits


def run(command: list[str]) -> tuple[float, int, str]:
    """Seconds, peak memory in MB and output of a process that must succeed."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)}: left with {process.returncode}")
    return seconds, usage.ru_maxrss // 1024, output


def measure(case: str, command: str, model: str, runs: int, folder: Path) -> Row:
    width, height, kind = CASES[case]
    photo = folder / "photo.jpg"
    sizes = [str(width), str(height), json.dumps(kind)]
    run([sys.executable, "-c", MAKE, str(PHOTO), str(photo), *sizes])
    out = folder / ("out.jpg" if command == "colorize" else "parts")
    options = ["-o", str(out), "--overwrite", "--model", model]
    times, memory, baseline = [], 0, []
    for _ in range(runs):
        copied = run([sys.executable, "-c", COPY, str(photo), str(folder / "copy.jpg")])
        baseline.append(float(copied[2]))
        seconds, megabytes, _ = run([sys.executable, "-m", "limner", command, str(photo), *options])
        times.append(seconds)
        memory = max(memory, megabytes)
    median = statistics.median(times)
    ratio = median / statistics.median(baseline)
    what = case if command == "colorize" else f"{command}, {case}"
    return Row(what, median, min(times), max(times), memory, ratio, LIMITS[what])


def measure_help(runs: int) -> Row:
    results = [run([sys.executable, "-m", "limner", "--help"]) for _ in range(runs)]
    times = [seconds for seconds, _, _ in results]
    memory = max(megabytes for _, megabytes, _ in results)
    median = statistics.median(times)
    return Row(HELP, median, min(times), max(times), memory, None, LIMITS[HELP])


def print_table(rows: list[Row]) -> None:
    print("| | median, s | range, s | limit, s | times libvips | limit | peak, MB | limit, MB |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        limits = row.limits.seconds, row.limits.times_libvips, row.limits.megabytes
        seconds, ratio, megabytes = (f"{limit:g}" if limit else "" for limit in limits)
        times = f"{row.times_libvips:.1f}" if row.times_libvips else ""
        print(
            f"| {row.what} | {row.seconds:.2f} | {row.fastest:.2f} to {row.slowest:.2f} "
            f"| {seconds} | {times} | {ratio} | {row.megabytes} | {megabytes} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--segmenter", default="voc")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, runs = Path(folder), arguments.runs
        rows = [measure(case, "colorize", arguments.model, runs, place) for case in CASES]
        model = arguments.segmenter
        if (ROOT / f"limner/weights/{model}.onnx").is_file() or (ROOT / model).is_file():
            rows += [measure(case, "segment", model, runs, place) for case in SEGMENTED]
        else:
            missing = f"{model}: no such model, so that `limner segment` is left out"
            print(f"{missing}; give one with --segmenter", file=sys.stderr)
    rows.append(measure_help(arguments.runs))
    print_table(rows)
    cores = len(os.sched_getaffinity(0))
    print(json.dumps({"cores": cores, "runs": arguments.runs, "rows": [asdict(r) for r in rows]}))


if __name__ == "__main__":
    main()
