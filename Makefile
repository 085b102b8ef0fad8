# make console   sets everything up, opens the console on the embedded host
# make test      sets everything up, lints, checks types, runs all tests, once; four workers, since tests mostly wait for real servers
# make check     lint, types and the tests that need no real server: quick, while you work
# make faults    injects the faults of a bad night at full size and prints what held
# make bench     side-by-side benchmarks; prints a table and writes bench.json
# make calibration  simulates how often each statistical procedure rejects, as in docs/statistics.md (several minutes)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# bytecode is kept whatever the environment says: tests start Python hundreds of times
unexport PYTHONDONTWRITEBYTECODE
# what is installed counts, not modules that the environment names
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP
# folders may have blanks in their names: quoted for the shell, with a backslash as targets
blank := $(subst ,, )
INSTALLED := $(subst $(blank),\$(blank),$(VENV))/.installed
WORDNET := $(subst $(blank),\$(blank),$(VENV))/.wordnet

.PHONY: console test check lint types faults bench calibration clean relocated
.DELETE_ON_ERROR:

console: relocated $(WORDNET)
	@"$(BIN)/qllm-console" --profile demo

test: lint types $(WORDNET)
	@"$(BIN)/pytest" -n 4 --dist loadgroup --no-loadscope-reorder

check: lint types $(WORDNET)
	@"$(BIN)/pytest" -n 4 --dist loadgroup --no-loadscope-reorder -m 'not server'

lint: relocated
	@"$(BIN)/ruff" check .
	@"$(BIN)/ruff" format --check .
	@"$(BIN)/lint-imports" --no-logo

types: relocated
	@"$(BIN)/mypy"

faults: relocated $(WORDNET)
	@failed=0; \
	"$(BIN)/pytest" -n 4 --dist loadgroup --no-loadscope-reorder -m 'fault and not alone' --full-size || failed=1; \
	"$(BIN)/pytest" -m 'fault and alone' --full-size || failed=1; \
	exit $$failed

bench: relocated $(WORDNET)
	@"$(BIN)/python" -m tests.bench

calibration: relocated
	@OMP_NUM_THREADS=1 "$(BIN)/python" -m tests.calibration

# set up once for each content of these files; a date alone, as of a copy, means nothing
$(INSTALLED): pyproject.toml constraints.txt
	@cat $^ | cksum | cmp -s - "$@" || { \
	"$(PYTHON)" -I -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("qllm-console needs Python 3.11 or newer; this is %d.%d: set PYTHON=/path/to/python3" % v[:2])' && \
	"$(PYTHON)" -I tools/set_up.py "$(VENV)" '.[engine,dev]' constraints.txt && \
	rm -f "$(VENV)/.mended"; } || exit 2
	@cat $^ | cksum > "$@"

# an environment holds absolute paths: where it is new, or its folder was moved, renamed or copied, its programs are mended first
relocated: $(INSTALLED)
	@[ "$$(cat "$(VENV)/.mended" 2>/dev/null)" = "$$(pwd -P)" ] || "$(PYTHON)" -I tools/relocate.py "$(VENV)"

$(WORDNET): $(INSTALLED) | relocated
	@"$(PYTHON)" -I tools/set_up.py --wordnet
	@"$(BIN)/qllm-engine" data obtain >/dev/null
	@touch "$@"

clean:
	rm -rf "$(VENV)" .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
