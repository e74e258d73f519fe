"""How the build finds nvcc, and what it asks of it."""

import importlib.util
from pathlib import Path

import pytest

SETUP = Path(__file__).parent.parent / "setup_cuda.py"
SAID = """
case $* in
  --version) echo 'Cuda compilation tools, release 13.7, V13.7.1' ;;
  --list-gpu-arch) printf 'compute_75\\ncompute_80\\ncompute_90\\ncompute_120\\n' ;;
  *) cat >&2 <<'PLAN' ;;
#$ TOP=/far/away/bin/..
#$ INCLUDES="-I/far/away/include"
#$ LIBRARIES=  "-L/far/away/lib64/stubs" "-L/far/away/lib64"
PLAN
esac
"""


@pytest.fixture
def setup_cuda(monkeypatch):
    for variable in ("CUDA_HOME", "TORCH_CUDA_ARCH_LIST"):
        monkeypatch.delenv(variable, raising=False)
    spec = importlib.util.spec_from_file_location("setup_cuda", SETUP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nvcc_in(folder: Path, script: str = SAID) -> Path:
    nvcc = folder / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text(f"#!/bin/sh\n{script}")
    nvcc.chmod(0o755)
    return nvcc


def test_cuda_home_comes_first_and_then_the_path(setup_cuda, tmp_path, monkeypatch):
    at_home, on_path = nvcc_in(tmp_path / "home"), nvcc_in(tmp_path / "path")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert setup_cuda.find_nvcc() == on_path
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "home"))
    assert setup_cuda.find_nvcc() == at_home


def test_pypi_comes_last(setup_cuda, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert setup_cuda.find_nvcc() == setup_cuda.pypi_nvcc()
    monkeypatch.setattr(setup_cuda, "pypi_nvcc", lambda: None)
    with pytest.raises(setup_cuda.CannotBuildError, match="there is no nvcc"):
        setup_cuda.find_nvcc()


def test_a_compiler_says_where_its_toolkit_is(setup_cuda, tmp_path):
    nvcc = nvcc_in(tmp_path)
    toolkit = setup_cuda.toolkit_of(nvcc)
    assert toolkit.nvcc == nvcc
    assert toolkit.release == "13.7"
    assert toolkit.include == [Path("/far/away/include")]
    assert Path("/far/away/lib64") in toolkit.lib


def test_the_pinned_toolkit_has_what_is_linked(setup_cuda, tmp_path):
    wrapper = nvcc_in(tmp_path, f'exec {setup_cuda.pypi_nvcc()} "$@"')
    toolkit = setup_cuda.toolkit_of(wrapper)
    assert any((folder / "cuda_runtime.h").is_file() for folder in toolkit.include)
    assert any((folder / "libcudart_static.a").is_file() for folder in toolkit.lib)


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 1", "--version failed"), ("echo hello", "does not say of which CUDA it is")],
)
def test_what_is_no_compiler_is_refused(setup_cuda, tmp_path, script, reason):
    with pytest.raises(setup_cuda.CannotBuildError, match=reason):
        setup_cuda.toolkit_of(nvcc_in(tmp_path, script))


@pytest.mark.parametrize(
    ("chosen", "architectures"),
    [
        ("", ["8.0", "9.0", "12.0+PTX"]),
        ("8.0;9.0+PTX", ["8.0", "9.0+PTX"]),
        (" 8.0 12.0 ", ["8.0", "12.0"]),
        ("9.0a", ["9.0a"]),
    ],
)
def test_architectures(setup_cuda, tmp_path, monkeypatch, chosen, architectures):
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", chosen)
    assert setup_cuda.architectures(setup_cuda.toolkit_of(nvcc_in(tmp_path))) == architectures


@pytest.mark.parametrize("chosen", ["7.5", "10.0", "Ampere", "8", "8.0,9.0"])
def test_other_architectures_are_refused(setup_cuda, tmp_path, monkeypatch, chosen):
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", chosen)
    toolkit = setup_cuda.toolkit_of(nvcc_in(tmp_path))
    with pytest.raises(setup_cuda.CannotBuildError, match=f"TORCH_CUDA_ARCH_LIST.* got {chosen}"):
        setup_cuda.architectures(toolkit)


@pytest.mark.parametrize(
    ("architectures", "code"),
    [
        (["8.0"], ["80,code=[sm_80]"]),
        (["9.0", "8.0"], ["80,code=[sm_80,sm_90]"]),
        (["8.0", "12.0+PTX", "10.0"], ["80,code=[sm_80]", "100,code=[sm_100,sm_120,compute_100]"]),
        (["9.0a+PTX", "9.0"], ["90,code=[sm_90]", "90a,code=[sm_90a,compute_90a]"]),
    ],
)
def test_code_is_made_of_one_translation_where_possible(setup_cuda, architectures, code):
    assert setup_cuda.code_for(architectures) == [f"-gencode=arch=compute_{x}" for x in code]


def test_no_kernel_has_code_of_its_own_for_an_architecture():
    sources = [path for path in (SETUP.parent / "csrc").rglob("*") if path.is_file()]
    assert sources
    assert [path for path in sources if "__CUDA_ARCH" in path.read_text()] == []
