# SPDX-License-Identifier: Apache-2.0
# The commands of this repository; `make` lists them.

PYTHON ?= python3# 3.10 to 3.14
ROS ?=# kilted or jazzy: which ROS 2 to install where none is sourced
ARGS ?=# passed on to the demo, to pytest, to fuzz and to what runs on a GPU
SET ?= testing/parity/set_a# folder of parity fixtures
DTYPE ?= float32# or float64: the precision of make parity

BENCHMARKS = real_footage body_model network fit_accuracy message_path placement whole_path fit_time runtimes_cpu shared_runtime engine_build metric identity smoothing overload replay mesh_detail image_transport stream_latency

SETUP = $(PYTHON) -m tools.setup_environment $(if $(ROS),--ros $(ROS))
# With a sourced ROS 2, .venv is a workspace on top of it; with wheels it needs no environment.
IN_VENV = $(if $(AMENT_PREFIX_PATH),. .venv/local_setup.sh &&) PATH="$(CURDIR)/.venv/bin:$$PATH"

# Tests start many processes; without bytecode, each of them would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-humble test-jazzy test-lyrical fuzz docs parity bench bench-gpu gpu-check audit clean lock

help:
	@echo 'make demo    run the node on a real video: overlay video, contact sheet, bag'
	@echo 'make test    check style, types and behaviour'
	@echo 'make test-humble, test-jazzy, test-lyrical'
	@echo '             check behaviour with the libraries of Ubuntu 22.04, 24.04, 26.04'
	@echo 'make fuzz    look for input that is not refused as it should be, ten minutes'
	@echo 'make docs    make the site of the documentation: docs/_build/html'
	@echo 'make parity  compare with outputs of the original PEAR at full size'
	@echo 'make bench   measure speed and accuracy, without a GPU'
	@echo 'make bench-gpu  measure PEAR on the NVIDIA GPU that torch sees'
	@echo 'make gpu-check  try that GPU step by step, then measure: what to run first on a new one'
	@echo 'make setup   the part that these have in common: everything needed, into .venv'
	@echo 'make audit   known vulnerabilities and licences of the pinned packages'
	@echo 'make clean   remove all that was made here'

setup:
	@$(SETUP)
	@echo 'Ready: make demo, make test, or .venv/bin/pear --help'

demo:
	@$(SETUP)
	@$(IN_VENV) pear demo $(ARGS)

test:
	@$(SETUP) --test
	$(IN_VENV) ruff check
	$(IN_VENV) ruff format --check
	$(IN_VENV) mypy
	$(IN_VENV) python -m pytest $(ARGS)

# On the Python and the library versions of an Ubuntu release, as a robot has them. Humble's and
# Lyrical's rclpy do not exist as wheels: that of the nearest distribution is used instead.
test-humble: ; $(call test_on_ubuntu,22.04,jazzy)
test-jazzy: ; $(call test_on_ubuntu,24.04,jazzy)
test-lyrical: ; $(call test_on_ubuntu,26.04,kilted)

define test_on_ubuntu
	@python=$$($(PYTHON) -m tools.ubuntu_python $(1)) && PEAR_ROS_VENV=$(@:test-%=.venv-%) \
		$$python -m tools.setup_ubuntu $(1) --ros $(2)
	PATH="$(CURDIR)/$(@:test-%=.venv-%)/bin:$$PATH" python -m pytest $(ARGS)
endef

# ARGS are those of testing.fuzz (--seconds, --seed) and of pytest.
fuzz:
	@$(SETUP) --test
	$(IN_VENV) python -m testing.fuzz $(ARGS)

docs:
	@$(SETUP) --docs
	$(IN_VENV) python -m tools.reference_pages
	$(IN_VENV) python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo 'The site begins at docs/_build/html/index.html'

parity:
	@$(SETUP) --test
	$(IN_VENV) python -m testing.parity.check_parity $(SET) --dtype $(DTYPE)

bench:
	@$(SETUP) --test
	$(foreach name,$(BENCHMARKS),$(IN_VENV) python -m benchmarks.$(name) &&) true

bench-gpu:
	$(PYTHON) -m benchmarks.gpu $(ARGS)

# In the Python that has torch for CUDA. ARGS are those of benchmarks.gpu_check.
gpu-check:
	$(PYTHON) -m benchmarks.gpu_check $(ARGS)

audit:
	@$(SETUP)
	$(IN_VENV) python -m tools.audit

clean:
	rm -rf .venv .venv-* build install log setup.log demo_output docs/_build *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# For maintainers: pin again what setup.py and requirements/ros.in ask for (needs uv). Versions that
# suit the oldest Python suit all but 3.14, which takes NumPy and SciPy as Ubuntu 26.04 has them.
LOCK = uv pip compile --quiet --upgrade --python-version 3.10 --python-platform linux \
	--no-header --no-annotate
HASH = uv pip compile --quiet --universal --no-deps --python-version
LOCK_ROS = $(LOCK) requirements/ros.in - -c requirements/runtime.txt
# For all Pythons at once, within the versions above; torch is installed by itself.
LOCK_TOOLS = printf 'torch; python_version < "3"' | uv pip compile --quiet --upgrade --universal \
	--python-version 3.10 --no-header --no-annotate --override - \
	-c requirements/runtime.txt -c requirements/ros-kilted.txt -c requirements/ros-jazzy.txt
HASHED = runtime ros-kilted ros-jazzy robot docs test ubuntu-22.04 ubuntu-24.04 ubuntu-26.04
python_of = $(or $(if $(findstring 24.04,$(1)),3.12),$(if $(findstring 26.04,$(1)),3.14),3.10)
# markdown-it-py: as MyST in docs.txt wants it.
lock:
	echo 'markdown-it-py<4' | $(LOCK) setup.py --extra fast --extra stream --extra view -c - \
		-c requirements/robot.txt -o requirements/runtime.txt
	echo ros-rclpy==9.1.2 | $(LOCK_ROS) -o requirements/ros-kilted.txt
	echo ros-rclpy==7.1.6 | $(LOCK_ROS) -o requirements/ros-jazzy.txt
	sed -i -E 's/^(backports-zstd|numpy|scipy)==.*/& ; python_version < "3.14"/' \
		requirements/runtime.txt requirements/ros-kilted.txt requirements/ros-jazzy.txt
	grep -E '^(numpy|scipy)==' requirements/ubuntu-26.04.txt | \
		sed 's/$$/ ; python_version >= "3.14"/' >> requirements/runtime.txt
	$(LOCK_TOOLS) requirements/docs.in -o requirements/docs.txt
	$(LOCK_TOOLS) requirements/test.in -c requirements/docs.txt -o requirements/test.txt
	echo setuptools==79.0.1 | $(HASH) 3.10 -o pylock.setuptools.toml -
	$(foreach name,$(HASHED),$(HASH) $(call python_of,$(name)) -o pylock.$(subst .,,$(name)).toml requirements/$(name).txt &&) true
	$(PYTHON) -m tools.hashes --write pylock.*.toml && rm pylock.*.toml
