"""A second device made of the first: computes on the CPU, and refuses what a GPU would refuse.

Tensors there hold a tensor of the CPU. Operations that mix both kinds fail, and so does numpy.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretended"


class Backend:
    """What torch asks of the module of a device."""

    @staticmethod
    def get_amp_supported_dtype() -> list[torch.dtype]:
        return [torch.bfloat16]

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def is_initialized() -> bool:
        return True

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def device_count() -> int:
        return 1

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        """Do nothing: every stream of noise here is one of the CPU."""


_setup_privateuseone_for_python_backend(NAME, Backend)
ELSEWHERE = torch.device(NAME, 0)


class There(Tensor):
    """A tensor on the second device."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "There":
        made = Tensor._make_wrapper_subclass(  # type: ignore
            cls, here.shape, here.stride(), here.storage_offset(), dtype=here.dtype,
            device=ELSEWHERE, requires_grad=here.requires_grad,
        )  # fmt: skip
        made.here = here
        return made  # type: ignore

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})

    __torch_function__ = torch._C._disabled_torch_function_impl

    def tolist(self) -> Any:
        return self.here.tolist()


class Stream(torch.Generator):
    """A stream of noise, which for the second device is one of the CPU."""

    def __new__(cls, device: torch.device | str = "cpu") -> "Stream":
        is_there = torch.device(device).type == NAME
        return super().__new__(cls, "cpu" if is_there else device)


class Second(TorchDispatchMode):
    """Sends there what is asked to be made or moved there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with self:
            found = func.decompose(*args, **kwargs or {})
        return run(func, args, kwargs or {}) if found is NotImplemented else found


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    are_there = [isinstance(each, There) for each in given if each.dim()]
    device = kwargs.get("device")
    is_copy = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
    if len(set(are_there)) > 1 and not is_copy:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device")
    if device is not None:
        is_there = torch.device(device).type == NAME
        kwargs = kwargs | {"device": torch.device("cpu") if is_there else device}
    elif func is torch.ops.aten.copy_.default:
        is_there = isinstance(args[0], There)
    else:
        is_there = any(isinstance(each, There) for each in given)
    inner_args, inner = tree_map(lambda x: x.here if isinstance(x, There) else x, (args, kwargs))
    found = func(*inner_args, **inner)
    if not is_there:
        return found
    wrapped = tree_map(lambda x: There(x) if isinstance(x, Tensor) else x, found)
    return (
        wrapped if device is not None else return_and_correct_aliasing(func, args, kwargs, wrapped)
    )


@contextmanager
def second_device() -> Iterator[torch.device]:
    """Let `ELSEWHERE` be a device like any other; its streams of noise are those of the CPU."""
    before = torch._C._only_lift_cpu_tensors()  # torch.tensor(…, device) moves what it made.
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with Second(), patch.object(torch, "Generator", Stream):
            yield ELSEWHERE
    finally:
        torch._C._set_only_lift_cpu_tensors(before)
