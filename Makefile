# Everything on a fresh machine: `make ablate` runs the main job, `make test` the tests.
# Each sets up its own virtual environment in .venv first, if that is not there yet.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: ablate test test-all emulated docs faults sanitize lint format bench gpu build kernels cuda-table clean

ablate: $(VENV)/installed
	$(BIN)/lelkern ablate temperature $(ARGS)

# A process for each core, each with one thread of its own. A file's tests stay in one of them, for
# what they share; files begin in the order of tests/conftest.py.
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed-dev
	$(PYTEST) $(PARALLEL) --few -m "not slow" $(ARGS)

test-all: $(VENV)/installed-dev
	$(PYTEST) $(PARALLEL) $(ARGS)

# The CUDA kernels for CPUs, all at the same time. Tests compile what they lack one after the other.
emulated: $(VENV)/installed-dev
	$(BIN)/python tests/cuda_emulation/building.py

# The site, in build/site; a warning is an error. Pages that have not changed are not built again.
docs: $(VENV)/installed-dev
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet \
	    -c docs/sphinx -d build/doctrees $(ARGS) . build/site
	@echo "The site begins at build/site/index.html"

# Plants the faults that are listed in tests/faults, one at a time, and says which tests notice.
faults: $(VENV)/installed-dev
	$(BIN)/python tests/faults/plant.py $(ARGS)

# The tests of what memory kernels read and write once more, over a build in build/sanitize that looks
# at every access and every undefined operation, not optimised: at -O3 one file takes minutes. Python
# itself leaks on exit, so leaks are not looked for; null pointers and the ends of objects are found by
# the checks of addresses. Instruction sets are left out that this machine does not run, or has better
# ones than, and tests that call the kernels as others do: to compare slopes, or compiled. Of
# combinations of parameters there are so many that every value is met.
SANITIZE := -fsanitize=address,undefined -fno-sanitize=null,object-size
RUNNABLE := $(if $(shell grep avx512bw /proc/cpuinfo),,-DLELKERN_WITHOUT_AVX512) \
    $(if $(shell grep -w avx2 /proc/cpuinfo),-DLELKERN_WITHOUT_BASELINE)
SANITIZED := contrastive_values contrastive_temperature info_nce nt_xent_edges siglip sup_con ema ema_rounding sharpen \
    guess_labels mixup cutmix mixup_lambda mixing_values prox_l1 prox_group prox_lists prox_direct_calls \
    project_simplex project_l1inf
sanitize: $(VENV)/installed-dev
	LELKERN_EXT=1 LELKERN_CUDA=0 CFLAGS="$(SANITIZE) -g1" \
	CXXFLAGS="$(SANITIZE) $(RUNNABLE) -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1 -O0" \
	LDFLAGS="$(SANITIZE)" $(BIN)/python setup.py -q build \
	    --build-base build/sanitize --build-lib build/sanitize/lib
	PYTHONPATH=build/sanitize/lib ASAN_OPTIONS=detect_leaks=0 \
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)" \
	$(BIN)/python -P -m pytest $(PARALLEL) --few -p no:cacheprovider -m "not slow" \
	    -k "not (on_average or gradcheck or compile)" $(SANITIZED:%=tests/ops/test_%.py) $(ARGS)

# Not by git, which a copy of the tree may lack: given no file, clang-format looks at none, and passes.
CPP_FILES = $(shell find csrc tests -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh')

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CPP_FILES)
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP_FILES)

bench: $(VENV)/installed-dev
	$(BIN)/python -m pytest benchmarks/bench_*.py --benchmark-group-by=group $(ARGS)

# The ops' tests and the benchmarks on a GPU, with the kernels built for it.
gpu: $(VENV)/installed-dev
	$(BIN)/python -c "import torch; torch.empty(0, device='cuda')"
	LELKERN_EXT=1 LELKERN_CUDA=1 \
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[dev,peers]"
	$(PYTEST) $(PARALLEL) -m "not slow" tests/ops
	$(PYTEST) benchmarks/bench_*.py --benchmark-group-by=group --device cuda --csv $(ARGS)

build: $(VENV)/installed-dev
	$(BIN)/python -m build --no-isolation

# What the pinned compiler makes of the CUDA kernels, for the test that compares it.
cuda-table: $(VENV)/installed-dev
	$(BIN)/python tests/cuda_static/cuda_table.py

# torch and what builds come first, so that the build can use them instead of fetching its own.
$(VENV)/torch:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip ninja "setuptools>=77"
	$(BIN)/python -m pip install --quiet "torch>=2.11" "torchvision>=0.25"
	touch $@

# What pip installs, without kernels, which would be compiled before the tools are there: among them
# may be the only nvcc.
PIP_INSTALL := LELKERN_EXT=0 LELKERN_CUDA=0 \
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable
$(VENV)/packages: $(VENV)/torch pyproject.toml setup.py
	$(PIP_INSTALL) .
	touch $@
$(VENV)/packages-dev: $(VENV)/torch pyproject.toml setup.py
	$(PIP_INSTALL) ".[dev]"
	touch $(VENV)/packages $@

# The kernels: ninja compiles what has changed.
SOURCES := $(wildcard setup*.py) $(shell find csrc)
KERNELS := $(BIN)/python setup.py -q build_ext --inplace
$(VENV)/installed: $(VENV)/packages $(SOURCES)
	$(KERNELS)
	touch $@
$(VENV)/installed-dev: $(VENV)/packages-dev $(SOURCES)
	$(KERNELS)
	touch $(VENV)/installed $@

# Those for CPUs, while packages arrive: of these they need torch alone, where the only nvcc may be among
# the others.
kernels: $(VENV)/torch
	LELKERN_CUDA=0 $(KERNELS)

clean:
	rm -rf build dist *.egg-info lelkern/*.so lelkern/_build_info.json $(VENV)/packages* $(VENV)/installed*
