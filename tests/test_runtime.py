import pytest
import torch

from lelkern.config import ConfigError
from lelkern.runtime import RuntimeConfig


def test_resolve_leaves_nothing_to_decide_and_decides_once():
    runtime = RuntimeConfig().resolve()
    assert runtime.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert runtime.precision in ("float32", "bfloat16")
    assert runtime.resolve() == runtime


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({}, "float32"), ({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16")],
)
def test_auto_is_bfloat16_only_where_the_cpu_multiplies_it(monkeypatch, capabilities, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert RuntimeConfig(device="cpu").resolve().precision == precision


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there():
    with pytest.raises(ConfigError, match=r"runtime.device: .*no GPU, got cuda"):
        RuntimeConfig(device="cuda", precision="float32").resolve()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_autocast_sets_the_precision_of_products(precision):
    with RuntimeConfig(device="cpu", precision=precision).autocast("cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == getattr(torch, precision)
