"""Exit codes of ``qllm-console``; the README lists them."""

DONE = 0
FAILED = 1  # a run failed, was aborted, was lost, or is not synced
BAD_INPUT = 2  # wrong usage or unusable input: one line on stderr says which
NOT_REACHED = 3  # `wait`: what was waited for cannot happen any more
UNREACHABLE = 4  # the host cannot be reached
SHIP_BLOCKER = 5  # a ship blocker failed under --strict; `results --exit-code`: do not ship
UNDECIDED = 7  # `results --exit-code`: runs are missing, or the intervals do not decide
TIMED_OUT = 124  # --timeout, as timeout(1) of coreutils; runs continue
INTERRUPTED = 130  # Ctrl+C; runs continue
