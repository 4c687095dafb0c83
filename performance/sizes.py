"""How memory grows over images of new sizes, for each of which engines make machine code anew. Linux only.

python -m performance.sizes [--count 300]    with UPSCALE_WEIGHTS_DIR, where the compact network lies
"""

import argparse
from collections.abc import Iterator

import numpy as np

from performance.measuring import find_network, resident_megabytes, run_in_fresh_process, write_section
from performance.real_esrgan.networks import list_devices, make_network, make_upscaler, run_on
from performance.scene import make_scene
from pipelines.upscalers.loading import load

MODELS = {"swift": (120, 400), "real-esrgan-general": (60, 200), "real-esrgan": (16, 48)}  # least and largest side
FIRST = 100  # sizes after which growth is told the first time
ABOUT = (
    "x4, each in a fresh process: images of as many sizes, no two alike, one after another, after one as large as any "
    "of them. Growth of resident memory since that one; growth that goes on is what a server would die of. "
    "Real-ESRGAN has drawn parameters."
)


def draw_sizes(least: int, largest: int, count: int) -> Iterator[tuple[int, int]]:
    """Heights and widths within the range, no two alike, the same in every run."""
    sides = largest - least + 1
    for number in np.random.default_rng(0).permutation(sides**2)[:count]:
        yield least + int(number) // sides, least + int(number) % sides


def measure_growth(key: str, engine: str, count: int) -> str:
    """Returns the megabytes that have been added after FIRST sizes and after all, and the precision, with spaces."""
    upscaler = find_network(load(key, 4)) if key == "swift" else make_upscaler(key, make_network(key))
    device = next(each for each in list_devices() if each.engine == engine)
    least, largest = MODELS[key]
    scene, added = make_scene(largest), list[float]()
    run_on(device, upscaler, scene)
    before = resident_megabytes()
    for height, width in draw_sizes(least, largest, count):
        run_on(device, upscaler, scene[:height, :width])
        added.append(resident_megabytes() - before)
    return f"{added[min(FIRST, count) - 1]:.1f} {added[-1]:.1f} {device.dtype}"


def main() -> None:
    """Measures every model by every engine that is here, and writes it to RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m performance.sizes", description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="how many sizes")
    parser.add_argument("case", nargs="*", help="a model and an engine: these alone, and nothing is written")
    options = parser.parse_args()
    if options.case:
        key, engine = options.case
        print(measure_growth(key, engine, options.count))
        return
    rows = []
    for key in MODELS:
        for device in list_devices():
            first, last, dtype = run_in_fresh_process(
                "performance.sizes", "--count", options.count, key, device.engine
            ).split()
            rows.append([key, device.engine, dtype, first, last])
            print(*rows[-1], flush=True)
    header = ["model", "engine", "precision", f"after {FIRST} sizes, MB", f"after {options.count}, MB"]
    write_section("Memory over new sizes", ABOUT, header, rows)


if __name__ == "__main__":
    main()
