"""Commands of qllm-engine."""
