"""Exit codes of ``qllm-console``; the README lists them."""

DONE = 0
FAILED = 1  # a run failed, was aborted, was lost, or is not synced
BAD_INPUT = 2  # wrong usage or unusable input: one line on stderr says which
UNREACHABLE = 4  # the host cannot be reached
SHIP_BLOCKER = 5  # a ship blocker failed under --strict; `results --exit-code`: do not ship
UNDECIDED = 7  # `results --exit-code`: runs are missing, or the intervals do not decide
INTERRUPTED = 130  # Ctrl+C; runs continue
