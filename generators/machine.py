"""The machine at hand: device, threads, memory, and how a record names them."""

import ctypes
import os
import platform
import sys
from pathlib import Path

import torch

from generators import processes


def choose_device(name: str | None) -> torch.device:
    """Return the device called `name`, or the best one there is.

    Raises: ValueError naming the devices of this machine when `name` is none of them.
    """
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    if name is None:
        return torch.device(there[0])
    kind, _, index = name.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in there or (index and index not in map(str, range(count))):
        raise ValueError(f"--device {name}: this machine has {', '.join(there)}")
    return torch.device(name)


def prepare(threads: int) -> None:
    """Set the number of CPU threads, keep freed memory, and let float32 be float32 on GPUs.

    glibc hands every freed activation of some megabytes back to the kernel and pays page faults
    to get it again: a quarter of the time of a training step on a CPU.
    """
    torch.set_num_threads(threads)
    # By default cuDNN rounds the factors of float32 convolutions to ten bits; judges must not.
    torch.backends.cudnn.allow_tf32 = False
    # Where a GPU's kernels cannot be compiled, for want of a C compiler say, networks run as is.
    os.environ.setdefault("TORCHDYNAMO_SUPPRESS_ERRORS", "1")
    if compiler := sys.modules.get("torch._dynamo"):  # It has read its environment.
        compiler.config.suppress_errors = True
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        trim_threshold, top_pad, mmap_max = -1, -2, -4
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, -1)
        libc.mallopt(top_pad, 256 << 20)


def bfloat16_pays(device: torch.device) -> bool:
    """Whether networks are faster in bfloat16 than in float32, as GPUs are, and some CPUs.

    Measured with convolutions: AMX and AMD's AVX-512 take half the time or less; Intel's AVX-512
    where AMX is missing or switched off takes half as long again; emulated, as on GPUs before
    Ampere, it is slower still.
    """
    if device.type == "cpu":
        if torch.cpu._is_amx_tile_supported():
            return True
        return torch.cpu._is_avx512_bf16_supported() and processor().startswith("AMD")
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def main_memory() -> float:
    """Return the bytes of main memory, endless where the system does not tell them."""
    if hasattr(os, "sysconf"):
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return float("inf")


def cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def own_cores() -> int:
    """Return how many cores are there for each of the processes started together here."""
    return max(1, cores() // processes.here())


def describe(device: torch.device) -> str:
    """Name the hardware in words: "NVIDIA H200", "2 × AMD EPYC, 1 thread" for two processes."""
    times = f"{processes.count()} × " if processes.count() > 1 else ""
    return times + describe_one(device)


def describe_one(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"{platform.processor()} (Metal)"
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} thread{'s' if threads > 1 else ''}"


def processor() -> str:
    """Return the CPU's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
