"""An event as a line of plain text, for the log."""

from __future__ import annotations

from engine.contract.events import Body, Checkpoint, End, Epoch, Evaluation, Progress, Stage, Step, Warning

EVERY_STEPS = 10


def line_of(body: Body) -> str | None:
    """One line, or None for an event that would only fill the log (9 of 10 steps)."""
    match body:
        case Stage(name, note):
            return f"[{name}] {note}".rstrip()
        case Progress(done, total, unit):
            return f"  {done}/{total} {unit}"
        case Step() as it:
            if it.step % EVERY_STEPS and it.step != it.total_steps:
                return None
            mix = " ".join(f"{name} {count}" for name, count in it.tiers.items())
            return f"  step {it.step}/{it.total_steps} loss {it.loss:.4f} lr {it.learning_rate:.2e} {mix}"
        case Epoch() as it:
            return (
                f"epoch {it.epoch}: dev top-1 {it.top1:.1%} (mean pooling {it.mean_pool_top1:.1%}), margin {it.margin:+.4f}, "
                f"loss {it.loss:.4f}, attention entropy {it.attention_entropy:.3f}"
            )
        case Warning() as it:
            return f"warning: {it.kind}: {it.message}"
        case Checkpoint(step, _, sha256):
            return f"  checkpoint at step {step}, sha256 {sha256[:12]}"
        case Evaluation() as it:
            return (
                f"evaluation: top-1 {it.top1:.1%} (mean pooling {it.mean_pool_top1:.1%}), "
                f"top-3 {it.top3:.1%} ({it.mean_pool_top3:.1%}), coherence {it.coherence:.1%} ({it.mean_pool_coherence:.1%})"
            )
        case End(failed_gates):
            return (
                f"end: failed ship blockers: {', '.join(failed_gates)}"
                if failed_gates
                else "end: every ship blocker passed"
            )
