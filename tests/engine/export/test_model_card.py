"""The model card: the run's scores with intervals beside the baselines, its gates, and what it is not good for."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from engine.contract.experiment import EncoderSettings, ModelSettings
from engine.contract.metrics import Metrics
from engine.export.model_card import model_card
from tests.engine.export.trained_run import TrainedRun, made_up_metrics


def card_of(tmp_path: Path, encoder: Path, metrics: Metrics | None, reference: dict[str, str] | None = None) -> str:
    run = TrainedRun(tmp_path / "run", EncoderSettings(str(encoder), (1, 2)), ModelSettings())
    return model_card(
        run.spec,
        run.position,
        metrics,
        run.encoder.folder,
        reference,
        {"torch": "9.9"},
    )


def test_it_has_scores_with_intervals_beside_the_baselines_and_every_gate(tmp_path: Path, tiny_encoder: Path) -> None:
    metrics = made_up_metrics()
    card = card_of(tmp_path, tiny_encoder, metrics)
    top1 = metrics.head.intervals["retrieval_top1"]
    assert top1.low is not None and top1.high is not None
    assert f"| this head | {100 * top1.mean:.1f} [{100 * top1.low:.1f}, {100 * top1.high:.1f}] |" in card
    assert "| frozen mean pooling of the same layers | 0.0 [0.0, 0.0] |" in card
    assert "| random (guessing) | 50.0 |" in card  # an exact expectation has no interval
    gain = metrics.gains["retrieval_top1"]
    assert gain.low is not None and gain.high is not None
    assert f"in points | {100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] |" in card
    assert "| retrieval_top1 | 83.3% | 30% | passed |" in card
    assert "| coherence_accuracy | 25.0% | 80% | **failed** |" in card


def test_it_says_what_the_run_is_not_good_for(tmp_path: Path, tiny_encoder: Path) -> None:
    limits = card_of(tmp_path, tiny_encoder, made_up_metrics()).split("## Not good for")[1].split("##")[0]
    assert "Shipping: coherence_accuracy is 25.0%, the experiment asks for 80%." in limits
    assert "retrieval_top1" not in limits
    assert "Coherence: it is not shown to be better than frozen mean pooling" in limits
    assert "3 of its evaluation items" in limits
    assert "beyond 128 tokens" in limits
    assert "other than English" in limits


def test_it_says_what_determined_the_run(tmp_path: Path, tiny_encoder: Path) -> None:
    card = card_of(tmp_path, tiny_encoder, made_up_metrics())
    for part in (
        "# made-up A/1: ",
        "16 bundles of edition v2.2, built from WordNet 3.0",
        f"Data fingerprint `{'d' * 64}`, evaluation fingerprint `{'e' * 64}`",
        "| training.batch_size | 8 |",
        "| encoder.layers | 1, 2 |",
        "4 steps of 8 bundles, 2 epochs",
        "that of step 2, chosen on development data by top-1, 62.5%",
        "Exported with torch 9.9.",
        "not stated in its files",
        "Princeton",
    ):
        assert part in card
    assert str(tiny_encoder) not in card.split("## Settings")[0]


def test_it_names_an_encoder_that_is_not_included(tmp_path: Path, tiny_encoder: Path) -> None:
    reference = {"model": "someone/model", "revision": "f" * 40}
    card = card_of(tmp_path, tiny_encoder, None, reference)
    assert f"downloaded from the Hugging Face hub: someone/model at {'f' * 40}" in card
    assert "was not evaluated" in card


def test_a_gain_whose_interval_is_below_zero_is_called_worse(tmp_path: Path, tiny_encoder: Path) -> None:
    metrics = made_up_metrics()
    gain = structs.replace(metrics.gains["retrieval_top3"], low=-0.2, high=-0.1)
    card = card_of(tmp_path, tiny_encoder, structs.replace(metrics, gains={"retrieval_top3": gain}))
    assert "Top-3: it is worse than frozen mean pooling" in card


def test_it_tells_which_layers_of_the_encoder_were_trained(tmp_path: Path, tiny_encoder: Path) -> None:
    assert "which is frozen; trained" in card_of(tmp_path / "frozen", tiny_encoder, None)
    settings = EncoderSettings(str(tiny_encoder), (2,), trained_layers=1, lora_rank=2)
    run = TrainedRun(tmp_path / "run", settings, ModelSettings())
    card = model_card(run.spec, run.position, None, run.encoder.folder, None, {})
    assert "frozen but for layer 2, trained with it, by additions of rank 2; trained" in card
