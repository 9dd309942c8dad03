"""Tables as CSV."""

import csv
import io

from segsweep.report.tables import front_csv, trials_csv


def test_the_front_comes_first_and_fastest_first(facts):
    rows = list(csv.DictReader(io.StringIO(front_csv(facts).decode())))
    assert [(row["trial_id"], row["on_front"], row["knee"]) for row in rows] == [
        ("t0004", "True", "False"),
        ("t0006", "True", "True"),
        ("t0008", "True", "False"),
        ("t0009", "False", "False"),
    ]
    assert (rows[0]["latency_p50_ms"], rows[0]["test_mask_map50_95"]) == ("8.0", "0.33")
    assert rows[3]["gain_over_default"] == ""


def test_hyperparameters_are_columns(facts):
    rows = list(csv.DictReader(io.StringIO(trials_csv(facts).decode())))
    assert (rows[0]["param.lr0"], rows[0]["is_default"]) == ("", "True")
    assert (rows[3]["param.lr0"], rows[3]["param.momentum"]) == ("0.004", "0.9")
    assert rows[11]["error"] == "CUDA out of memory <script>"
