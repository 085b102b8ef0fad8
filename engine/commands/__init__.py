"""The commands of ``qllm-engine``."""
