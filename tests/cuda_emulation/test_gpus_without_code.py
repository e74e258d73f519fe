"""GPUs for which nothing was compiled have the references, and others keep their kernels.

gpus_without_code.cpp stands in for the GPUs; a tensor is on the one whose number its rows are.
"""

import ctypes
import shutil
import threading
from pathlib import Path

import pytest
import torch
from building import COMMON, HERE, ROOT, cuda_include
from torch.autograd import gradcheck

from lelkern.ops._define import define
from lelkern.ops._differentiable_op import DifferentiableOp
from setup_ninja import Ninja

pytestmark = [pytest.mark.slow, pytest.mark.once]

BUILD = Path("build", "gpus_without_code")
NEW, OLD, BROKEN = 1, 2, 3

TWICE = DifferentiableOp(
    "test_twice",
    inputs="Tensor x",
    differentiable=("x",),
    reference=lambda x: 2 * x,
    reference_backward=lambda grad, x: (2 * grad,),
    fake=torch.empty_like,
)


def add_(tensors: list[torch.Tensor], by: float) -> None:
    for x in tensors:
        if not x.is_floating_point():
            raise ValueError("no numbers of this type")
        x += by


define(
    "test_add_",
    "(Tensor(a!)[] x, float by) -> ()",
    reference=add_,
    fake=lambda x, by: None,
    devices=(),
)


@pytest.fixture(scope="module")
def gpus() -> ctypes.CDLL:
    """The library, with what it says of the calls of the CUDA runtime."""
    if torch.version.cuda is None:
        pytest.skip("this PyTorch has no CUDA")
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    torch_folder = Path(torch.__file__).parent
    ninja = Ninja(BUILD, ROOT)
    include = [f"-I{ROOT}/csrc", f"-I{HERE}/include"]
    include += ["-isystem", str(cuda_include()), "-isystem", str(torch_folder / "include")]
    defined = ["-DLELKERN_CUDA_EMULATION", "-DUSE_CUDA"]
    defined += ["-DTORCH_TARGET_VERSION=0x020b000000000000"]
    command = ["g++", *COMMON.split(), *include, *defined]
    sources = [HERE / "gpus_without_code.cpp", ROOT / "csrc/shared/cuda/register.cpp"]
    objects = [ninja.compile(command, source.relative_to(ROOT)) for source in sources]
    # Its own functions come before those of the same name in PyTorch.
    link = ["g++", "-shared", "-Wl,-z,defs", "-Wl,-Bsymbolic", f"-L{torch_folder / 'lib'}"]
    made = ninja.link("gpus.so", link, objects, ["-ltorch_cpu", "-ltorch_cuda"])
    ran = ninja.run(made, capture=True)
    assert ran.returncode == 0, ran.stdout
    torch.ops.load_library(ROOT / made)
    return ctypes.CDLL(str(ROOT / made))


def on(gpu: int) -> torch.Tensor:
    return torch.arange(1.0, 3 * gpu + 1, dtype=torch.float64).reshape(gpu, 3)


def test_each_gpu_has_what_it_runs(gpus):
    for gpu in (NEW, OLD, NEW, OLD):
        x = on(gpu)
        want = 2 * x if gpu == OLD else torch.zeros_like(x)
        assert torch.equal(torch.ops.lelkern.test_twice(x), want)
        assert torch.equal(TWICE((x,)), want)
        assert gpus.current() == 7  # the device of whoever calls
        assert gpus.unseen_error() == 0  # which the next launch would report


def test_in_place(gpus):
    for gpu in (NEW, OLD):
        tensors = [on(gpu), on(gpu) * 2]
        before = [x.data_ptr() for x in tensors]
        want = [x + 0.5 if gpu == OLD else torch.zeros_like(x) for x in tensors]
        torch.ops.lelkern.test_add_(tensors, 0.5)
        assert [x.data_ptr() for x in tensors] == before
        assert all(map(torch.equal, tensors, want))
    torch.ops.lelkern.test_add_([], 0.5)  # of no GPU


def test_no_gpu_is_for_the_kernels_which_explain(gpus):
    asked = gpus.asked()
    assert torch.ops.lelkern.test_twice(on(0)).shape == (0, 3)
    assert gpus.asked() == asked


def test_the_runtime_is_asked_once(gpus):
    for gpu in (NEW, OLD):
        torch.ops.lelkern.test_twice(on(gpu))
    asked = gpus.asked()
    for gpu in (NEW, OLD):
        torch.ops.lelkern.test_twice(on(gpu))
        assert torch.ops.lelkern.test_has_code_for(gpu) == (gpu == NEW)
    assert gpus.asked() == asked


def test_where_the_runtime_cannot_say_kernels_are_called_and_it_is_asked_again(gpus):
    for _ in range(2):
        asked = gpus.asked()
        assert not torch.ops.lelkern.test_twice(on(BROKEN)).any()
        assert gpus.asked() == asked + 1
        assert gpus.current() == 7
    with pytest.raises(RuntimeError):
        torch.ops.lelkern.test_has_code_for(BROKEN)


def test_an_error_of_the_reference_is_raised(gpus):
    with pytest.raises(RuntimeError):  # its message only from PyTorch 2.13 on
        torch.ops.lelkern.test_add_([on(OLD).int()], 0.5)


def test_gradients(gpus):
    x = on(OLD).requires_grad_()
    assert gradcheck(lambda x: TWICE((x,)), (x,))
    assert torch.equal(torch.autograd.grad(TWICE((x,)).sum(), x)[0], torch.full_like(x, 2))
    new = on(NEW).requires_grad_()
    assert not torch.autograd.grad(TWICE((new,)).sum(), new)[0].any()


def test_opcheck_and_compile(gpus):
    x = on(OLD).requires_grad_()
    torch.library.opcheck(torch.ops.lelkern.test_twice.default, (x,))
    torch.library.opcheck(torch.ops.lelkern.test_add_.default, ([on(OLD)], 0.5))

    def function(x: torch.Tensor) -> torch.Tensor:
        y = TWICE((x,)) + 1
        torch.ops.lelkern.test_add_([y], 1.0)
        return y

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True, dynamic=False)
    assert torch.equal(compiled(x), 2 * x + 2)
    assert torch.equal(torch.autograd.grad(compiled(x).sum(), x)[0], torch.full_like(x, 2))
    assert not compiled(on(NEW)).any()


def test_from_several_threads(gpus):
    results: list[torch.Tensor] = []

    def work() -> None:
        results.extend(torch.ops.lelkern.test_twice(on(OLD)) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 200
    assert all(torch.equal(y, 2 * on(OLD)) for y in results)
