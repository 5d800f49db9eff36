# Every target sets itself up in .venv, from nothing but Python and the network.
PYTHON ?= python3
PRESET ?= quick
# 5 seeds, 10 for reproduce and theory, unless given.
SEEDS ?=
BACKEND ?= jax
OUT ?=
# threads, processes, ray or slurm; as suits the command, unless given.
EXECUTOR ?=
STORE ?=
# Runs at once; as many as suit, unless given.
JOBS ?=
# auto, cpu, gpu or tpu, and how many; all that the backend offers first.
DEVICES ?=
NUM_DEVICES ?=
# Of make sweep.
FILE ?= experiments/sweeps/samples_by_majority.toml
# Of test: processes, each with whole files, whose tests share what is compiled.
TEST_WORKERS ?= --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Programs that one of them compiles, the others read (JAX).
KEPT_PROGRAMS = JAX_COMPILATION_CACHE_DIR="$(abspath $(VENV))/programs" JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0
# test-callbacks has all tests of the callbacks, on each backend.
# Of test and test-slow: their programs are tiny, and take longer to compile
# than to run. All other targets compile as users do.
UNOPTIMISED = XLA_FLAGS="--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
VENV ?= .venv
# Versions are those of constraints.txt; with NEWEST=1, the newest ones.
NEWEST ?=
NEWEST_VENV ?= .venv-newest
# Of test-notebooks: the versions of Colab, on its Python. A shim of pyenv may
# be on PATH and not work.
COLAB_VENV ?= .venv-colab
COLAB_PYTHON ?= $(shell for each in python3.13 "$$HOME"/.pyenv/versions/3.13*/bin/python; do "$$each" -c "" 2>/dev/null && { echo "$$each"; break; }; done)
# Of test-tpu-compile, test-gpu-compile and test-tf-tpu: compilers for devices
# that are not here, each in an environment of its own of 1.7 to 2.7 GB.
TPU_VENV ?= .venv-tpu-compiler
COLAB_TPU_VENV ?= .venv-colab-tpu-compiler
GPU_VENV ?= .venv-gpu-compiler
TF_TPU_VENV ?= .venv-tf-tpu
JAX_VERSION = $(shell sed -n 's/^jax==//p' constraints.txt)

# Of lock: extras that targets install. What CUDA needs is left to torch, jax
# and tensorflow, which need different versions of it.
LOCKED = lab,jax,tf-cpu,notebook,test,examples,bench,docs,ray,remote,slurm
UNLOCKED = ^(nvidia|cuda|triton)

comma := ,
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet $(if $(NEWEST),,--constraint constraints.txt)
EXTRA = $(or $($(BACKEND)-$(DEVICES)),$(if $(filter tensorflow,$(BACKEND)),tf-cpu,$(BACKEND)))$(addprefix $(comma),$(filter ray slurm,$(EXECUTOR)))
jax-gpu = gpu
jax-tpu = tpu
tensorflow-gpu = tf-gpu
tensorflow-tpu = tf-tpu
RUN = $(BIN)/python -m experiments
OPTIONS = --preset $(PRESET) $(if $(SEEDS),--seeds $(SEEDS)) --backend $(BACKEND) $(if $(JOBS),--jobs $(JOBS)) $(if $(DEVICES),--devices $(DEVICES)) $(if $(NUM_DEVICES),--num-devices $(NUM_DEVICES)) $(if $(OUT),--out "$(OUT)") $(WHERE) $(ARGS)
WHERE = $(if $(EXECUTOR),--executor $(EXECUTOR)) $(if $(STORE),--store "$(STORE)")

.PHONY: help exp-triangle exp-controls exp-four-languages exp-four-languages-controls exp-composition exp-networks exp-prefix-lm exp-hangul exp-arithmetic exp-arithmetic-few exp-in-context reproduce theory report paper-campaign sweep test test-slow test-devices test-report test-playground test-site test-faults test-ray test-callbacks test-notebooks test-newest test-tpu-compile test-gpu-compile test-tf-tpu test-precision lock lint docs release-check playground bench notebooks clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Variables: PRESET=quick|paper SEEDS=5 JOBS=2 BACKEND=jax|tensorflow DEVICES=auto|cpu|gpu|tpu NUM_DEVICES=1 OUT=DIR STORE=DIR EXECUTOR=threads|processes|ray|slurm ARGS="...", of sweep FILE=experiments/sweeps/...toml'

exp-triangle: $(VENV)/lab-$(EXTRA)  ## triangle translation: figure 2, table, frames
	@$(RUN) triangle $(OPTIONS)

exp-four-languages: $(VENV)/lab-$(EXTRA)  ## four languages: table 1, curves, frames
	@$(RUN) four_languages $(OPTIONS)

exp-four-languages-controls: $(VENV)/lab-$(EXTRA)  ## are the sparse mappings of four languages composed?
	@$(RUN) four_languages_controls $(OPTIONS)

exp-controls: $(VENV)/lab-$(EXTRA)  ## what the model really learned: controls
	@$(RUN) controls $(OPTIONS)

exp-composition: $(VENV)/lab-$(EXTRA)  ## composition, switched on and off
	@$(RUN) composition $(OPTIONS)

exp-networks: $(VENV)/lab-$(EXTRA)  ## other networks on the same text
	@$(RUN) networks $(OPTIONS)

exp-prefix-lm: $(VENV)/lab-$(EXTRA)  ## prefix language models, and causal ones on the same windows
	@$(RUN) prefix_lm $(OPTIONS)

exp-hangul: $(VENV)/lab-$(EXTRA)  ## words that have parts, from Unicode
	@$(RUN) hangul $(OPTIONS)

exp-arithmetic: $(VENV)/lab-$(EXTRA)  ## tables in Z_13: composed, or used again?
	@$(RUN) arithmetic $(OPTIONS)

exp-arithmetic-few: $(VENV)/lab-$(EXTRA)  ## the same with too few rows to suffice alone
	@$(RUN) arithmetic_few $(OPTIONS)

exp-in-context: $(VENV)/lab-$(EXTRA)  ## a new bijection in every window, beside a fixed one or not
	@$(RUN) in_context $(OPTIONS)

reproduce: $(VENV)/lab-$(EXTRA)  ## all of them, a verdict on every claim, report.html
	@$(RUN) reproduce $(OPTIONS)

theory: $(VENV)/lab-$(EXTRA)  ## what tests the theory of section 2, into the same report
	@$(RUN) theory $(OPTIONS)

report: $(VENV)/lab-$(EXTRA)  ## verdicts and report.html from the runs that are there
	@$(RUN) report $(OPTIONS)

paper-campaign: $(VENV)/lab-tf-cpu  ## the published size, one run after the other, for days
	@$(BIN)/python -m experiments.campaign

sweep: $(VENV)/lab-$(EXTRA)  ## a grid: make sweep FILE=experiments/sweeps/samples_by_majority.toml
	@$(if $(or $(SEEDS),$(filter-out quick,$(PRESET))),echo 'error: seeds and preset of a sweep stand in FILE'; exit 2)
	@$(RUN) sweep "$(FILE)" --backend $(BACKEND) $(if $(JOBS),--jobs $(JOBS)) $(if $(DEVICES),--devices $(DEVICES)) $(if $(NUM_DEVICES),--num-devices $(NUM_DEVICES)) $(if $(OUT),--out "$(OUT)") $(WHERE) $(ARGS)

test: $(VENV)/test  ## the tests, on both backends
	KERAS_BACKEND=jax $(KEPT_PROGRAMS) $(UNOPTIMISED) $(BIN)/python -m pytest $(TEST_WORKERS)
	KERAS_BACKEND=tensorflow $(UNOPTIMISED) $(BIN)/python -m pytest $(TEST_WORKERS) -m 'backend and not slow' --ignore=tests/callbacks

test-slow: $(VENV)/test  ## those that take long: whole commands, processes that are killed
	KERAS_BACKEND=jax $(KEPT_PROGRAMS) $(UNOPTIMISED) $(BIN)/python -m pytest $(TEST_WORKERS) -m slow --ignore=tests/callbacks
	KERAS_BACKEND=tensorflow $(UNOPTIMISED) $(BIN)/python -m pytest $(TEST_WORKERS) -m 'backend and slow' --ignore=tests/callbacks

test-devices: $(VENV)/test  ## one run on 1, 2, 4 and 8 virtual devices, on both backends
	$(BIN)/python -m pytest -m devices tests/training/test_many_devices.py tests/commands/test_runner.py

test-report: $(VENV)/test  ## open the report in headless Chromium
	$(BIN)/python -m pytest -m browser tests/report/test_in_browser.py

test-playground: $(VENV)/test  ## the playground in headless Chromium, against Keras
	$(BIN)/python -m pytest -m browser tests/playground/test_in_browser.py

test-site: $(VENV)/test $(VENV)/docs  ## build the documentation, and open it in headless Chromium
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m browser tests/docs/test_site_in_browser.py

test-faults: $(VENV)/test  ## kill commands, damage files, fill the disk
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m faults tests/benchmarks/test_faults.py tests/benchmarks/test_sweep_faults.py tests/training/test_full_disk.py
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -m faults tests/benchmarks/test_faults.py

test-ray: $(VENV)/ray  ## sweeps and a reproduction on a cluster of Ray on this machine
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m ray tests/sweep/test_ray.py tests/commands/test_reproduce_on_ray.py

test-callbacks: $(VENV)/test  ## the callbacks alone, in a fresh environment, on each backend
	$(BIN)/python -m benchmarks.pages.light_import --tests-only

test-notebooks: $(VENV)/test $(COLAB_VENV)/colab  ## run the notebooks, with our versions and with Colab's
	for each in "$(BIN)" "$(COLAB_VENV)/bin"; do KERAS_BACKEND=jax "$$each/python" -m pytest -m notebooks tests/docs/test_notebooks.py || exit 1; done

test-newest:  ## a few tests and one run, with the newest versions
	rm -rf $(NEWEST_VENV)
	$(MAKE) NEWEST=1 VENV=$(NEWEST_VENV) $(NEWEST_VENV)/test
	for each in jax tensorflow; do KERAS_BACKEND=$$each $(NEWEST_VENV)/bin/python -m pytest -m backend tests/models/test_gpt.py || exit 1; done
	KERAS_BACKEND=jax $(NEWEST_VENV)/bin/python -m pytest tests/models/test_fast_cpu.py
	$(NEWEST_VENV)/bin/python -m pip install --quiet keras-hub
	KERAS_BACKEND=jax $(NEWEST_VENV)/bin/python -m pytest tests/models/test_keras_hub.py
	$(NEWEST_VENV)/bin/python -m experiments triangle --seeds 1 --conditions sparse_a_to_c --store $(NEWEST_VENV)/store --out $(NEWEST_VENV)/triangle

test-tpu-compile: $(TPU_VENV)/compiler $(COLAB_TPU_VENV)/compiler  ## compile every program for TPUs, without one (9 minutes)
	$(TPU_VENV)/bin/python -m benchmarks.accelerators.compiled tpu "$(or $(OUT),results/accelerators)"
	$(COLAB_TPU_VENV)/bin/python -m benchmarks.accelerators.compiled tpu "$(or $(OUT),results/accelerators)/colab" --only v5e-1

test-gpu-compile: $(GPU_VENV)/compiler  ## the same for GPUs (6 minutes)
	$(GPU_VENV)/bin/python -m benchmarks.accelerators.compiled gpu "$(or $(OUT),results/accelerators)"

test-tf-tpu: $(TF_TPU_VENV)/wheel  ## TensorFlow's wheel for TPUs, without one (2 minutes)
	KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=2 TPU_LIBRARY_PATH=/nonexistent $(TF_TPU_VENV)/bin/python -m pytest -m tf_tpu tests/training/test_tensorflow_tpu.py

test-precision: $(VENV)/test  ## do verdicts survive the rounding of GPUs and TPUs? (two hours)
	$(BIN)/python -m benchmarks.accelerators.precision "$(or $(OUT),docs/runs/precision)"

lock:  ## constraints.txt anew: the newest versions that PYTHON can have
	rm -rf $(NEWEST_VENV)
	$(MAKE) NEWEST=1 VENV=$(NEWEST_VENV) $(NEWEST_VENV)/pip
	$(NEWEST_VENV)/bin/python -m pip install --quiet '.[$(LOCKED)]'
	{ sed -n '/^#/p' constraints.txt; $(NEWEST_VENV)/bin/python -m pip freeze --exclude tiny_gpt | sed 's/+.*//' | grep -Ev '$(UNLOCKED)'; } > constraints.new
	mv constraints.new constraints.txt

lint: $(VENV)/test  ## ruff, mypy, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

playground: $(VENV)/lab-$(EXTRA)  ## one page that asks pretrained networks
	KERAS_BACKEND=jax $(BIN)/python -m tiny_gpt.playground build/playground.html

docs: $(VENV)/docs  ## the documentation as a site, build/site/index.html
	KERAS_BACKEND=jax $(BIN)/sphinx-build -W --keep-going -q -b html -c docs/site docs "$(or $(OUT),build/site)"

bench: $(VENV)/bench  ## speed against peers, profile, growth
	KERAS_BACKEND=jax $(BIN)/python -m benchmarks.speed.peers "$(or $(OUT),results/bench)"
	KERAS_BACKEND=jax $(BIN)/python -m benchmarks.speed.profile_update "$(or $(OUT),results/bench)/profile"
	KERAS_BACKEND=jax $(BIN)/python -m benchmarks.speed.growth "$(or $(OUT),results/bench)/growth"
	for each in tensorflow jax; do KERAS_BACKEND=$$each $(BIN)/python -m benchmarks.speed.evaluation "$(or $(OUT),results/bench)/evaluation" || exit 1; done

notebooks: $(VENV)/test  ## run the notebooks and keep their outputs
	cd notebooks && for each in *.ipynb; do KERAS_BACKEND=$(BACKEND) TF_CPP_MIN_LOG_LEVEL=2 TF_ENABLE_ONEDNN_OPTS=0 "$(abspath $(BIN))/jupyter" execute --inplace "$$each" || exit 1; done

release-check: $(VENV)/release  ## sdist and wheel: metadata, and tests and a triangle from each
	$(BIN)/python -m benchmarks.release

clean:  ## remove what was set up, not results
	rm -rf $(VENV) $(COLAB_VENV) $(NEWEST_VENV) $(TPU_VENV) $(COLAB_TPU_VENV) $(GPU_VENV) $(TF_TPU_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(VENV)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'error: Python 3.11 or newer is needed: make PYTHON=python3.11'; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/lab-%: $(VENV)/pip setup.cfg constraints.txt
	$(INSTALL) --editable '.[lab,$*]'
	@touch $@

$(VENV)/bench: $(VENV)/pip setup.cfg constraints.txt
	$(INSTALL) --editable '.[lab,jax,tf-cpu,bench]'
	@touch $@

$(VENV)/docs: $(VENV)/pip setup.cfg constraints.txt
	$(INSTALL) --editable '.[lab,jax,docs]'
	@touch $@

$(VENV)/release: $(VENV)/pip setup.cfg constraints.txt
	$(INSTALL) build twine
	@touch $@

$(VENV)/test: $(VENV)/pip setup.cfg constraints.txt
	$(INSTALL) --editable '.[lab,jax,tf-cpu,notebook,test]'
	@touch $@

# Beside the others: 240 MB that one target needs.
$(VENV)/ray: $(VENV)/test
	$(INSTALL) --editable '.[ray,remote]'
	@touch $@

$(TPU_VENV)/compiler: setup.cfg constraints.txt
	$(PYTHON) -m venv $(TPU_VENV)
	$(TPU_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[lab,tpu]'
	@touch $@

$(COLAB_TPU_VENV)/compiler: setup.cfg notebooks/colab.txt
	$(or $(COLAB_PYTHON),$(PYTHON)) -m venv $(COLAB_TPU_VENV)
	$(COLAB_TPU_VENV)/bin/python -m pip install --quiet --constraint notebooks/colab.txt --editable '.[lab,jax]' libtpu==0.0.23.1
	@touch $@

$(GPU_VENV)/compiler: setup.cfg constraints.txt
	$(PYTHON) -m venv $(GPU_VENV)
	$(GPU_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[lab,jax]'
	$(GPU_VENV)/bin/python -m pip install --quiet --no-deps jax-cuda12-plugin==$(JAX_VERSION) jax-cuda12-pjrt==$(JAX_VERSION) nvidia-cuda-nvcc-cu12
	@touch $@

$(TF_TPU_VENV)/wheel: setup.cfg
	$(PYTHON) -m venv $(TF_TPU_VENV)
	$(TF_TPU_VENV)/bin/python -m pip install --quiet --editable '.[lab,tf-tpu,test]'
	@touch $@

$(COLAB_VENV)/colab: setup.cfg notebooks/colab.txt
	@$(if $(COLAB_PYTHON),,echo 'There is no Python 3.13 (COLAB_PYTHON=...); $(PYTHON) stands in for it.')
	$(or $(COLAB_PYTHON),$(PYTHON)) -m venv $(COLAB_VENV)
	$(COLAB_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(COLAB_VENV)/bin/python -m pip install --quiet --constraint notebooks/colab.txt --editable '.[lab,jax,notebook,test]'
	@touch $@
