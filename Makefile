# Pointsman. `make` or `make help` lists the targets. Variables, all optional:
#   PYTHON=...       the Python (>= 3.11) that .venv is made with
#   TORCH_INDEX=...  an index URL for torch alone, to choose its build (see README)
#   EXTRAS=a,b       optional extras of pyproject.toml, besides the development tools that are always installed
#   ARGS=...         passed on to the command of run, serve, test, test-nightly and the benches

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
BIN := .venv/bin
LOCK := requirements.lock
TORCH := $(shell grep -o '^torch==[^ ]*' $(LOCK))
COMMA := ,
STAMP := .venv/.installed
EXTRAS_STAMP := $(if $(EXTRAS),$(STAMP)-$(subst $(COMMA),-,$(EXTRAS)))
# What is built from source (hnswlib, the project) is built with the locked tools too; pip renamed the variable.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=$(LOCK) PIP_BUILD_CONSTRAINT=$(LOCK) $(BIN)/python -m pip

.DEFAULT_GOAL := help
.PHONY: help install run serve test test-services test-nightly lint bench bench-chat bench-redis bench-demo bench-learning bench-ope bench-calibration bench-chat-routing bench-embedding bench-worth bench-memory bench-retrieval bench-chaos bench-replay bench-vectors bench-scale

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) $(EXTRAS_STAMP) ## make .venv with the locked versions; nothing to do when it is there

run: install ## install, then play the demo
	$(BIN)/pointsman demo $(ARGS)

serve: install ## install, then serve the API until interrupted
	$(BIN)/pointsman serve $(ARGS)

test: install ## install, then run the tests and doctests
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-services: install ## run the tests that need servers pip cannot bring (redis-server)
	@command -v redis-server >/dev/null || command -v valkey-server >/dev/null || { echo "These tests start a Redis" \
		"server. Install it (Debian, Ubuntu: apt install redis-server; macOS: brew install redis)." >&2; exit 1; }
	$(BIN)/python -m pytest -m services $(ARGS)

test-nightly: install ## run the tests that take long or watch system calls (needs strace)
	@command -v strace >/dev/null || { echo "The nightly tests watch system calls with strace. Install it (Debian," \
		"Ubuntu: apt install strace; Fedora: dnf install strace)." >&2; exit 1; }
	$(BIN)/python -m pytest -m nightly -rP $(ARGS)

lint: install ## style, format, types and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

bench: install ## measure speed and size
	$(BIN)/python -m benchmarks $(ARGS)

bench-chat: install .litellm/.installed ## measure the chat endpoint beside LiteLLM's proxy, which is installed into .litellm (750 MB)
	$(BIN)/python -m benchmarks chat $(ARGS)

bench-redis: install ## measure what counting a call costs, in memory and with Redis (needs a redis-server)
	$(BIN)/python -m benchmarks.limits $(ARGS)

bench-demo: install ## tune the fixed rule on seeds of their own, then compare the demo's gates over others
	$(BIN)/python -m benchmarks.demo $(ARGS)

bench-ope: install ## check off-policy evaluation against published figures, known truths and the peer (ARGS="--data DIR")
	$(BIN)/python -m benchmarks.ope $(ARGS)

bench-learning: install ## play worlds that each ask for one skill; with ARGS="--data DIR" real tasks beside their peers too
	$(BIN)/python -m benchmarks.learning $(ARGS)

bench-calibration: install ## compare the gate's risk with what happened, and draw docs/calibration.svg
	$(BIN)/python -m benchmarks.calibration $(ARGS)

bench-chat-routing: install ## route chats on recorded answers (ARGS="--data DIR"), and draw docs/routing-cost.svg
	$(BIN)/python -m benchmarks.chat_routing $(ARGS)

bench-embedding: install ## measure the 8-bit embedder beside the original (ARGS="--data DIR" for recorded texts)
	$(BIN)/python -m benchmarks.embedding $(ARGS)

bench-worth: install ## plant memories that help, harm or do neither, and count how many are found when
	$(BIN)/python -m benchmarks.worth $(ARGS)

bench-memory: install ## measure how fast memory is searched, what HNSW misses, and how much room 1,000 tenants take
	$(BIN)/python -m benchmarks.memory $(ARGS)

bench-retrieval: install ## does what memory finds show the fault that comes? (ARGS="--data DIR") beside cosine and BM25
	$(BIN)/python -m benchmarks.memory.retrieval $(ARGS)

bench-chaos: install ## kill and pause replicas on one PostgreSQL under a steady load (ARGS="--seconds 60"), and look what is lost
	$(BIN)/python -m benchmarks.chaos $(ARGS)

bench-replay: install ## replay a drawn log on every engine, beside its peer (ARGS="--decisions 10000000")
	$(BIN)/python -m benchmarks.replay $(ARGS)

bench-vectors: install ## measure pgvector beside hnswlib, and a small tenant among a million vectors of others
	$(BIN)/python -m benchmarks.vectors $(ARGS)

bench-scale: install ## measure what one journal bears, and model up to 1,000 replicas and 512 shards with it
	$(BIN)/python -m benchmarks.scale $(ARGS)

# What pip cannot bring is asked for first, before anything is downloaded.
define check_machine
@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	"Pointsman needs Python 3.11 or newer$(if $(PYTHON),; $(PYTHON) is not,). Install it (Debian, Ubuntu: apt install" \
	"python3.11-venv python3.11-dev; Fedora: dnf install python3.11-devel; macOS: brew install python@3.11)" \
	"or name one: make install PYTHON=/path/to/python3.11" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
	"$(PYTHON) cannot make virtual environments. Install them (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
@command -v $(firstword $(CXX)) >/dev/null || { echo \
	"Pointsman needs a C++ compiler: hnswlib is built from source. Install one (Debian, Ubuntu: apt install g++;" \
	"Fedora: dnf install gcc-c++; macOS: xcode-select --install) or name it: make install CXX=clang++" >&2; exit 1; }
@printf '#include <Python.h>\n#include <vector>\n' | $(CXX) -x c++ -fsyntax-only \
	-I"$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')" - || { echo \
	"$(CXX) cannot compile against $(PYTHON): the headers of C++ or of Python are missing (Debian, Ubuntu:" \
	"apt install g++ python3-dev; Fedora: dnf install gcc-c++ python3-devel)." >&2; exit 1; }
endef

# torch first, from its own index if one is named: any build of the locked version satisfies the lock.
$(STAMP): $(LOCK) pyproject.toml
	$(check_machine)
	@echo 'Installing the locked versions into .venv; the first time takes a few minutes.'
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(PIP) install --quiet --no-deps --index-url $(TORCH_INDEX) $(TORCH))
	$(PIP) install --quiet -r $(LOCK)
	$(PIP) install --quiet --no-deps -e .
	@touch $@

$(STAMP)-%: $(STAMP)
	$(PIP) install --quiet -e '.[$(EXTRAS)]'
	@touch $@

.litellm/.installed: benchmarks/litellm.lock
	$(PYTHON) -m venv .litellm
	PIP_DISABLE_PIP_VERSION_CHECK=1 .litellm/bin/python -m pip install --quiet --no-deps -r benchmarks/litellm.lock
	touch $@
