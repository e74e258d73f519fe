from pathlib import Path

from lelkern.ablation.plot import Drawing
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.results import Results, Row
from lelkern.ablation.study import load_study
from lelkern.methods.metric import Curve, Metric, percentage

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/examples/loss-plot.toml"


def test_contributing_shows_the_example():
    plot = FILE.read_text().partition("[[plot]]")
    assert f"```toml\n{plot[1]}{plot[2]}```" in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_example_draws_a_loss_for_each_temperature():
    study = load_study(str(FILE))
    rows = [
        Row(arm.label, seed, {"knn": 0.5}, {"loss": [(1.0, 2.0 + i), (10.0, 1.0 + i)]})
        for i, arm in enumerate(study.arms())
        for seed in range(2)
    ]
    curves = {"loss": Curve(Metric("steps"), Metric("training loss"))}
    metrics = {"knn": percentage("k-NN")}
    figure = Drawing(Picture(study, study.plot[0], Results(rows), metrics, curves)).figure
    (axes,) = figure.get_axes()
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "steps (log scale)"
    drawn = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert drawn == {
        "temperature τ 0.1": [2.0, 1.0],
        "temperature τ 0.5": [3.0, 2.0],
        "temperature τ 1": [4.0, 3.0],
    }
