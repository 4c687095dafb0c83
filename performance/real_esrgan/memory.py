"""Peak memory of Real-ESRGAN's networks over a whole picture."""

from performance.measuring import peak_megabytes, run_in_fresh_process, write_section
from performance.real_esrgan.networks import make_network, make_upscaler
from performance.scene import make_scene
from pipelines.catalog.settings import Settings
from pipelines.runs import finish


def measure_memory() -> None:
    """Peak memory of 1024 x 1024 by 4, each in a fresh process."""
    keys = ("real-esrgan", "real-esrgan-general")
    rows = [[key, *run_in_fresh_process("performance.real_esrgan", "peak", key).split()] for key in keys]
    about = "1024 x 1024 to 4096 x 4096: peak resident memory above the loaded network; the result is in it."
    write_section("Real-ESRGAN x4: memory", about, ["model", "peak, MB"], rows)


def print_peak(key: str) -> None:
    """Prints the peak in MB: what `measure_memory` runs in a process of its own."""
    upscaler = make_upscaler(key, make_network(key))
    finish(upscaler.run(make_scene(32), Settings()))
    print(f"{peak_megabytes(lambda: finish(upscaler.run(make_scene(1024), Settings()))):.0f}")
