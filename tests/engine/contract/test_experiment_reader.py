"""The experiment: the shipped file, its matrix, its profiles, the settings of a run."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from engine.contract.bad_input import BadInput
from engine.contract.experiment import Curriculum, Experiment, folder_name
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, differences, resolve, run_ids
from engine.contract.toml_file import find_config


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


def test_the_matrix_is_three_conditions_by_three_seeds(experiment: Experiment) -> None:
    runs = run_ids(experiment, "full")
    assert len(runs) == 9 and {run.seed for run in runs} == {42, 123, 456}
    assert [run.condition for run in runs] == list("AAABBBCCC")


def test_smoke_is_one_run_of_two_epochs(experiment: Experiment) -> None:
    (run,) = run_ids(experiment, "smoke")
    assert run == RunId("A", 42) and resolve(experiment, "smoke", run).training.epochs == 2


def test_the_ship_blockers_are_those_of_the_experiment(experiment: Experiment) -> None:
    gates = experiment.gates
    assert (gates.retrieval_top1, gates.retrieval_top3, gates.coherence_accuracy) == (0.30, 0.50, 0.80)


def test_b_and_c_oversample_tier2_twice_and_tier3_four_times(experiment: Experiment) -> None:
    for condition in "BC":
        curriculum = resolve(experiment, "full", RunId(condition, 42)).curriculum
        assert [curriculum.weight(tier) for tier in ("tier1_easy", "tier2_robust", "tier3_adversarial")] == [1, 2, 4]
    assert resolve(experiment, "full", RunId("A", 42)).curriculum == Curriculum()


def test_profiles_are_kept_apart_on_disk(experiment: Experiment) -> None:
    assert folder_name(experiment, "full") == "scaling" and folder_name(experiment, "demo") == "scaling-demo"


def test_every_setting_changes_the_fingerprint(experiment: Experiment) -> None:
    settings = resolve(experiment, "full", RunId("A", 42))
    others = [
        resolve(experiment, "full", RunId("A", 123)),
        resolve(experiment, "full", RunId("B", 42)),
        resolve(experiment, "smoke", RunId("A", 42)),
        msgspec.structs.replace(settings, training=msgspec.structs.replace(settings.training, learning_rate=1e-9)),
        msgspec.structs.replace(settings, gates=msgspec.structs.replace(settings.gates, retrieval_top1=0.31)),
    ]
    prints = {one.fingerprint() for one in [settings, *others]}
    assert len(prints) == 6 and settings.fingerprint() == resolve(experiment, "full", RunId("A", 42)).fingerprint()


@pytest.mark.parametrize("run", [RunId("D", 42), RunId("A", -1), RunId("A", 2**31)])
def test_an_unknown_condition_or_a_seed_out_of_range_is_refused(experiment: Experiment, run: RunId) -> None:
    with pytest.raises(BadInput):
        resolve(experiment, "full", run)


def test_a_profile_that_names_an_unknown_condition_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(find_config("scaling.toml").read_text().replace('conditions = ["A"]', 'conditions = ["Z"]'))
    with pytest.raises(BadInput, match=r"experiment.toml:\d+: profiles.smoke.conditions: no condition 'Z'"):
        read_experiment(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [42, 123, 456]", "seeds = [42, 123, 42]", "seeds: 42 is named 2 times"),
        ("seeds = [42]", "seeds = [42, 7, 42, 42]", "profiles.smoke.seeds: 42 is named 3 times"),
        ('conditions = ["A"]', 'conditions = ["A", "A"]', "profiles.smoke.conditions: 'A' is named 2 times"),
        ("[conditions.B]", "[conditions.A]", "not valid TOML: Cannot declare ('conditions', 'A') twice"),
        # far above what anybody trains for
        ("epochs = 2 ", "epochs = 1_000_000 ", "training.epochs: must be a whole number of at most 10,000"),
        ("epochs = 2 ", "steps = 999_999_999 ", "training.steps: must be a whole number of at most 100,000,000"),
        (
            "batch_size = 128",
            "batch_size = 10_000_000",
            "training.batch_size: must be a whole number of at most 65,536",
        ),
        ("epochs = 8\n", "epochs = 99_999\n", "profiles.demo.epochs: must be a whole number of at most 10,000"),
    ],
)
def test_a_wrong_value_of_the_experiment_is_refused_with_file_line_and_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "experiment.toml"
    text = find_config("scaling.toml").read_text()
    head, tail = text.split(old, 1)
    path.write_text(head + new + tail)
    line = head.count("\n") + 1
    with pytest.raises(BadInput, match=f"^{re.escape(f'{path}:{line}: {message}')}$"):
        read_experiment(path)


@pytest.mark.parametrize("rate", ["inf", "nan", "0.0", "-1e-3"])
def test_a_learning_rate_that_is_not_positive_and_finite_is_refused(tmp_path: Path, rate: str) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(find_config("scaling.toml").read_text().replace("learning_rate = 3e-4", f"learning_rate = {rate}"))
    with pytest.raises(BadInput, match=r"experiment\.toml:\d+: training\.learning_rate"):
        read_experiment(path)


OVERRIDES = """
[conditions.D]
title = "smaller, other layers, its own weights"
edition = "v2.3"
curriculum = "oversample"
[conditions.D.training]
epochs = 3
[conditions.D.model]
embedding_size = 64
[conditions.D.encoder]
layers = [2, 6]
[conditions.D.synthetics]
least_gap = 0.1
[conditions.D.curriculum_weights]
tier3_adversarial = 8.0
"""


@pytest.mark.parametrize("name", ["scaling", "certified", "capacity", "ablations"])
def test_every_shipped_experiment_resolves_all_its_runs(name: str) -> None:
    experiment = read_experiment(find_config(f"{name}.toml"))
    assert experiment.name == name
    for profile in experiment.profiles:
        prints = {resolve(experiment, profile, run).fingerprint() for run in run_ids(experiment, profile)}
        assert len(prints) == len(run_ids(experiment, profile))


def with_text(folder: Path, text: str) -> Path:
    path = folder / "experiment.toml"
    path.write_text(find_config("scaling.toml").read_text() + text)
    return path


def test_a_condition_overrides_settings_and_keeps_the_rest(tmp_path: Path) -> None:
    experiment = read_experiment(with_text(tmp_path, OVERRIDES))
    base, own = (resolve(experiment, "full", RunId(name, 42)) for name in "BD")
    assert own.training == msgspec.structs.replace(base.training, epochs=3)
    assert own.model == msgspec.structs.replace(base.model, embedding_size=64)
    assert own.encoder == msgspec.structs.replace(base.encoder, layers=(2, 6))
    assert own.synthetics == msgspec.structs.replace(base.synthetics, least_gap=0.1)
    assert own.curriculum == Curriculum(tier2_robust=2.0, tier3_adversarial=8.0)
    assert base == resolve(read_experiment(find_config("scaling.toml")), "full", RunId("B", 42))


@pytest.mark.parametrize("table", ["training", "model", "encoder", "synthetics", "curriculum_weights"])
def test_every_override_changes_the_fingerprint(tmp_path: Path, table: str) -> None:
    start = OVERRIDES.index(f"[conditions.D.{table}]")
    end = OVERRIDES.find("[", OVERRIDES.index("=", start) + 5)
    without = OVERRIDES[:start] + (OVERRIDES[end:] if end > 0 else "")
    prints = {
        resolve(read_experiment(with_text(tmp_path, text)), "full", RunId("D", 42)).fingerprint()
        for text in (OVERRIDES, without)
    }
    assert len(prints) == 2


def test_the_differences_of_a_condition_name_setting_value_and_base(tmp_path: Path) -> None:
    experiment = read_experiment(with_text(tmp_path, OVERRIDES))
    assert list(map(str, differences(experiment, "D"))) == [
        "encoder.layers [2, 6] (base [3, 6])",
        "model.embedding_size 64 (base 256)",
        "training.epochs 3 (base 2)",
        "synthetics.least_gap 0.1 (base 0.05)",
        "curriculum_weights.tier3_adversarial 8.0 (base 4.0)",
    ]
    assert differences(experiment, "B") == ()


def test_an_override_that_states_the_bases_value_is_no_difference(tmp_path: Path) -> None:
    experiment = read_experiment(with_text(tmp_path, "[conditions.B.training]\nbatch_size = 128\n"))
    assert differences(experiment, "B") == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 3\n", 'epochs = "three"\n', "conditions.D.training.epochs: must be a whole number, not text"),
        ("epochs = 3\n", "epocs = 3\n", "conditions.D.training.epocs: there is no such setting; did you mean epochs?"),
        (
            "epochs = 3\n",
            "epochs = 3\nsteps = 9\n",
            "conditions.D.training: a budget is in epochs or in steps, not in both",
        ),
        ("= 64\n", "= 0\n", "conditions.D.model.embedding_size: must be a whole number of at least 1"),
        ("[2, 6]", "[]", "conditions.D.encoder.layers: must not be empty"),
        ("[2, 6]", "[3, -6]", "conditions.D.encoder.layers: must be a whole number of at least 0"),
        ("gap = 0.1", "gap = 2", "conditions.D.synthetics.least_gap: must be a number of at most 1"),
        (
            "adversarial = 8.0",
            "adversarial = 0.0",
            "conditions.D.curriculum_weights.tier3_adversarial: must be a number above 0",
        ),
    ],
)
def test_a_wrong_override_is_refused_with_file_line_and_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = with_text(tmp_path, OVERRIDES.replace(old, new))
    base = find_config("scaling.toml").read_text()
    line = (base + OVERRIDES[: OVERRIDES.index(old)]).count("\n") + 1 - message.startswith("conditions.D.training: ")
    with pytest.raises(BadInput, match=f"^{re.escape(f'{path}:{line}: {message}')}$"):
        read_experiment(path)


@pytest.mark.parametrize(
    ("settings", "input_layer", "cached"),
    [
        ("layers = [3, 6]", None, (3, 6)),
        ("layers = [3, 6]\ntrained_layers = 1", 5, (3, 6, 5)),
        ("layers = [3, 6]\ntrained_layers = 3", 3, (3, 6)),
        ("layers = [2]\ntrained_layers = 2\nlora_rank = 4", 0, (2, 0)),
    ],
)
def test_trained_encoder_layers_begin_with_the_cached_states_of_the_layer_below(
    tmp_path: Path, settings: str, input_layer: int | None, cached: tuple[int, ...]
) -> None:
    experiment = read_experiment(with_text(tmp_path, OVERRIDES.replace("layers = [2, 6]", settings)))
    encoder = resolve(experiment, "full", RunId("D", 42)).encoder
    assert (encoder.input_layer, encoder.cached_layers) == (input_layer, cached)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("layers = [0, 1]\ntrained_layers = 2", "there are no 2 layers to train up to layer 1"),
        ("trained_layers = 4", "must be a whole number of at most 3"),
        ("lora_rank = 4", "lora_rank is of trained layers, and there are none"),
    ],
)
def test_layers_that_cannot_be_trained_are_refused(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(BadInput, match=rf"conditions\.D\.encoder.*: {re.escape(message)}$"):
        read_experiment(with_text(tmp_path, OVERRIDES.replace("layers = [2, 6]", settings)))


def test_the_reference_encoder_is_never_trained(tmp_path: Path) -> None:
    path = with_text(tmp_path, "")
    text = path.read_text()
    at = text.index("layers = [6]", text.index("[data.reference_encoder]"))
    path.write_text(f"{text[:at]}trained_layers = 1\n{text[at:]}")
    with pytest.raises(BadInput, match="the reference encoder is not trained"):
        read_experiment(path)


def test_a_budget_in_steps_replaces_the_bases_epochs_and_is_replaced_by_a_profiles(tmp_path: Path) -> None:
    text = "[conditions.B.training]\nsteps = 2000\n[profiles.short]\ntitle = 'short'\nepochs = 1\n"
    experiment = read_experiment(with_text(tmp_path, text))
    in_full, in_short = (resolve(experiment, profile, RunId("B", 42)).training for profile in ("full", "short"))
    assert (in_full.epochs, in_full.steps, in_full.total_steps(300)) == (None, 2000, 2000)
    assert (in_short.epochs, in_short.steps, in_short.total_steps(300)) == (1, None, 300)
    assert differences(experiment, "B", "short") == ()
    assert list(map(str, differences(experiment, "B"))) == [
        "training.epochs none (base 2)",
        "training.steps 2000 (base none)",
    ]


def test_a_profile_has_one_budget(tmp_path: Path) -> None:
    path = with_text(tmp_path, "[profiles.x]\ntitle = 'x'\nepochs = 1\nsteps = 2\n")
    with pytest.raises(BadInput, match=r":\d+: profiles\.x\.steps: a budget is in epochs or in steps, not in both$"):
        read_experiment(path)


RESIDUAL = """
[conditions.R]
title = "residual"
edition = "v2.3"
curriculum = "oversample"
[conditions.R.encoder]
layers = [5, 6]
[conditions.R.model]
architecture = "residual"
context_weights = [1.0, 0.5, 2.0, 0.0]
"""


def test_block_weights_are_none_or_two_a_layer_of_the_condition(tmp_path: Path) -> None:
    experiment = read_experiment(with_text(tmp_path, RESIDUAL))
    model = resolve(experiment, "full", RunId("R", 42)).model
    assert (model.context_weights, model.gloss_weights) == ((1.0, 0.5, 2.0, 0.0), ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "context_weights = [1.0, 0.5, 2.0, 0.0]",
            "context_weights = [1.0, 0.5]",
            "condition R needs none or 4 weights, two for each of its 2 layers; there are 2",
        ),
        (
            "layers = [5, 6]",
            "layers = [6]",
            "condition R needs none or 2 weights, two for each of its 1 layers; there are 4",
        ),
        ("context_weights = [1.0, 0.5, 2.0, 0.0]", "context_weights = [0, 0, 0, 0]", "at least one weight is above 0"),
    ],
)
def test_block_weights_that_do_not_fit_are_refused_with_file_line_and_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = RESIDUAL.replace(old, new)
    path = with_text(tmp_path, text)
    line = path.read_text()[: path.read_text().index("context_weights", -len(text))].count("\n") + 1
    field = "conditions.R.model.context_weights"
    with pytest.raises(BadInput, match=f"^{re.escape(f'{path}:{line}: {field}: {message}')}$"):
        read_experiment(path)


def test_block_weights_of_the_base_count_for_each_residual_condition_alone(tmp_path: Path) -> None:
    base = find_config("scaling.toml").read_text().replace("[model]\n", "[model]\ngloss_weights = [1.0, 2.0]\n")
    path = tmp_path / "experiment.toml"
    path.write_text(base)
    read_experiment(path)
    path.write_text(base + RESIDUAL)
    with pytest.raises(BadInput, match=r":\d+: model\.gloss_weights: condition R needs none or 4 weights"):
        read_experiment(path)
