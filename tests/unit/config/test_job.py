"""A job is valid as a whole or every one of its mistakes is told, with file, field, value and rule."""

import json
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from examples import JOB, SPACE, a_job
from segsweep.config.job import Budget, Job, from_run, load_job
from segsweep.core.ledger import Horizon
from segsweep.core.variants import VARIANTS
from segsweep.errors import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a job whose files hold the given data, from their folder."""
    monkeypatch.chdir(tmp_path)

    def load(changes=None, sets=(), space=None, without=()):
        data = {key: value for key, value in {**JOB, **(changes or {})}.items() if key not in without}
        Path("job.yaml").write_text(yaml.safe_dump(data))
        Path("space.yaml").write_text(yaml.safe_dump(SPACE if space is None else space))
        return load_job(Path("job.yaml"), tuple(sets))

    return load


def told(caught):
    return str(caught.value).splitlines()


def test_a_job_is_loaded_with_its_space_and_defaults(load):
    loaded = load()
    assert loaded == a_job()
    assert loaded.job.horizon == Horizon(9, 1, 3)
    assert (loaded.job.weights, loaded.job.missing_weights, loaded.job.seed) == ("coco", "error", 0)
    assert (loaded.job.search.policy, loaded.job.search.startup_trials) == ("pooled", 8)
    assert (loaded.job.resources_of("n").gpus, loaded.job.resources_of("n").cpus) == (1.0, 4)
    assert loaded.job.concurrency is None


def test_all_sizes_are_swept_where_none_is_named_and_order_does_not_matter(load):
    assert load(without=["variants"]).job.variants == VARIANTS
    assert load({"variants": ["x", "n"]}).job.variants == ("n", "x")


@pytest.mark.parametrize(
    ("assignment", "messages"),
    [
        ("name=5", ["name = 5: must be a valid string"]),
        ("name=a/b", ["name = 'a/b': must match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'"]),
        ("name=..", ["name = '..': must match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'"]),
        ("dataset=''", ["dataset = '': must have at least 1 character"]),
        ("search_space=5", ["search_space = 5: must be a valid string"]),
        ("variants=n", ["variants = 'n': must be a list"]),
        ("variants=[]", ["variants = []: must name at least one size, and every size once"]),
        ("variants=[n, n]", ["variants = ['n', 'n']: must name at least one size, and every size once"]),
        ("variants=[n, q]", ["variants.1 = 'q': must be 'n', 's', 'm', 'l' or 'x'"]),
        ("missing_weights=skip", ["missing_weights = 'skip': must be 'error' or 'scratch'"]),
        ("budget=3", ["budget = 3: must be a mapping of names to values"]),
        ("budget={}", ["budget.max_epochs: is required", "budget.trials: is required"]),
        ("budget.trials=0", ["budget.trials = 0: must be greater than or equal to 1"]),
        ("budget.trials=9.5", ["budget.trials = 9.5: must be a valid integer"]),
        ("budget.trials=true", ["budget.trials = True: must be a valid integer"]),
        ("budget.trials='9'", ["budget.trials = '9': must be a valid integer"]),
        ("budget.gpu_hours=0", ["budget.gpu_hours = 0: must be greater than 0"]),
        ("budget.gpu_hours=.nan", ["budget.gpu_hours = nan: must be a finite number"]),
        ("budget.gpu_hours=.inf", ["budget.gpu_hours = inf: must be a finite number"]),
        ("budget.gpu_hours='9'", ["budget.gpu_hours = '9': must be a valid number"]),
        ("budget.usd_per_gpu_hour=0", ["budget.usd_per_gpu_hour = 0: must be greater than 0"]),
        ("budget.gpu_hour=9", ["budget.gpu_hour = 9: unknown key (did you mean gpu_hours?)"]),
        ("scheduler.reduction_factor=1", ["scheduler.reduction_factor = 1: must be greater than or equal to 2"]),
        ("scheduler.grace_epochs=0", ["scheduler.grace_epochs = 0: must be greater than or equal to 1"]),
        ("search.policy=tpe", ["search.policy = 'tpe': must be 'pooled' or 'plain'"]),
        ("resources.q.gpus=1", ["resources.q = 'q': must be 'n', 's', 'm', 'l' or 'x'"]),
        ("resources.n.gpus=1.5", ["resources.n.gpus = 1.5: a part of one GPU, or whole ones: a number from 0 to 1, "
                                  "or 2, 3, ..."]),
        ("resources.n.gpus=3", ["train.batch = 16: must be a multiple of resources.n.gpus = 3: each GPU takes an equal "
                                "part (e.g. 18)"]),
        ("resources.n.gpus=-1", ["resources.n.gpus = -1: must be greater than or equal to 0"]),
        ("resources.n.gpus=true", ["resources.n.gpus = True: must be a valid number"]),
        ("resources.n.cpus=0.5", ["resources.n.cpus = 0.5: must be a valid integer"]),
        ("resources.n.gpu=1", ["resources.n.gpu = 1: unknown key (did you mean gpus?)"]),
        ("concurrency=0", ["concurrency = 0: must be greater than or equal to 1"]),
        ("train=3", ["train = 3: must be a mapping of names to values"]),
        ("train.imgsz=[96, 96]", ["train.imgsz = [96, 96]: must be a number, a text, true or false"]),
        ("train.imgsz=", ["train.imgsz = None: must be a number, a text, true or false"]),
        ("train.imgsz=16", ["train.imgsz = 16: must be an integer from 32 up"]),
        ("train.epochs=9", ["train.epochs = 9: is no training argument that may be set or searched; "
                            "did you mean warmup_epochs?"]),
        ("train.lr0=0.1", ["train.lr0 = 0.1: is searched by the search space too (keep one)"]),
        ("train.optimizer=Lion", ["train.optimizer = 'Lion': must be one of "
                                  "SGD, MuSGD, Adam, Adamax, AdamW, NAdam, RAdam, RMSProp, auto"]),
        ("seed=-1", ["seed = -1: must be greater than or equal to 0"]),
        ("seed=4294967296", ["seed = 4294967296: must be less than 4294967296"]),
        ("serch.policy=plain", ["serch = {'policy': 'plain'}: unknown key (did you mean search?)"]),
    ],
)  # fmt: skip
def test_a_broken_field_is_told_with_value_and_rule(load, assignment, messages):
    with pytest.raises(ConfigError) as caught:
        load(sets=[assignment])
    assert told(caught) == [f"job.yaml: {message}" for message in messages]


def test_every_mistake_of_both_files_and_every_assignment_is_told_at_once(load):
    with pytest.raises(ConfigError) as caught:
        load(
            {"nme": "x", "seed": "zero", "scheduler": {"grace_epochs": 10}, "train": {"batch": 0}},
            sets=["nonsense", "search_space.lr0=3"],
            space={"lr0": {"uniform": [0.1, 0.2]}, "momentu": {"uniform": [0.1, 0.2]}},
            without=["name"],
        )
    assert told(caught) == [
        "--set: nonsense: must look like a.b=value",
        "job.yaml: name: is required",
        "job.yaml: seed = 'zero': must be a valid integer",
        "job.yaml: nme = 'x': unknown key (did you mean name?)",
        "space.yaml: lr0 = 3: must be a mapping of names to values",
        "space.yaml: momentu = 0.1: is no training argument that may be set or searched; "
        "did you mean momentum or warmup_momentum?",
        "job.yaml: scheduler.grace_epochs = 10: must not exceed budget.max_epochs = 9 (lower it or train longer)",
        "job.yaml: train.batch = 0: must be an integer from 1 up",
        f"job.yaml: train.optimizer = auto: {AUTO}",
    ]


def test_a_missing_space_is_told_beside_the_jobs_own_mistakes(load):
    with pytest.raises(ConfigError) as caught:
        load({"search_space": "nowhere.yaml", "seed": -1})
    assert told(caught) == [
        "job.yaml: seed = -1: must be greater than or equal to 0",
        "nowhere.yaml: no such file (check the path; it is relative to the folder you are in)",
    ]


@pytest.mark.parametrize(("grace", "horizon", "fits"), [(9, 9, True), (10, 9, False), (1, 1, True), (2, 1, False)])
def test_a_grace_period_may_reach_the_horizon_but_not_exceed_it(load, grace, horizon, fits):
    sets = [f"scheduler.grace_epochs={grace}", f"budget.max_epochs={horizon}"]
    if fits:
        assert load(sets=sets).job.horizon.max_epochs == horizon
    else:
        with pytest.raises(
            ConfigError, match=rf"grace_epochs = {grace}: must not exceed budget.max_epochs = {horizon}"
        ):
            load(sets=sets)


LR = {"lr0": {"loguniform": [1e-4, 1e-2]}}
AUTO = "optimizer auto ignores lr0, which the search space searches (name an optimizer, e.g. train.optimizer: SGD)"


@pytest.mark.parametrize(
    ("train", "space", "message"),
    [
        ({"optimizer": "auto"}, LR, f"train.optimizer = auto: {AUTO}"),
        ({}, LR, f"train.optimizer = auto: {AUTO}"),  # auto is Ultralytics' default
        ({}, {**LR, "optimizer": {"choice": ["SGD", "auto"]}}, f"search_space.optimizer = auto: {AUTO}"),
        (
            {},
            {**LR, "optimizer": {"choice": ["SGD"]}, "per_variant": {"x": {"optimizer": {"choice": ["auto"]}}}},
            f"search_space.optimizer = auto: {AUTO}",
        ),
        (
            {},
            {"momentum": {"uniform": [0.5, 0.9]}, "warmup_bias_lr": {"uniform": [0.0, 0.1]}},
            "train.optimizer = auto: optimizer auto ignores momentum and warmup_bias_lr, which the search space "
            "searches (name an optimizer, e.g. train.optimizer: SGD)",
        ),
        ({"optimizer": "SGD"}, LR, None),
        ({}, {**LR, "optimizer": {"choice": ["SGD", "AdamW"]}}, None),
        ({"optimizer": "auto"}, {"mosaic": {"uniform": [0.0, 1.0]}}, None),
        ({}, {"optimizer": {"choice": ["SGD", "auto"]}}, None),
    ],
)
def test_a_search_that_optimizer_auto_would_ignore_is_refused(load, train, space, message):
    if message is None:
        assert load({"train": train}, space=space)
        return
    with pytest.raises(ConfigError) as caught:
        load({"train": train}, space=space)
    assert told(caught) == [f"job.yaml: {message}"]


def test_assignments_reach_job_and_space(load):
    loaded = load(sets=["resources.n={gpus: 0, cpus: 1}", "train.imgsz=96", "search_space.lr0.loguniform=[1e-3, 1e-2]"])
    assert loaded.job.resources_of("n").gpus == 0
    assert loaded.job.train == {"optimizer": "SGD", "imgsz": 96}
    assert loaded.space.of("n")["lr0"].loguniform == (1e-3, 1e-2)


def test_an_assignment_may_name_another_space(load):
    Path("other.yaml").write_text("box: {uniform: [1, 9]}\n")
    assert list(load(sets=["search_space=other.yaml"]).space.distributions) == ["box"]


def test_defaults_are_ultralytics_own_and_lie_inside_the_space_or_not():
    job = a_job({"lr0": {"loguniform": [1e-4, 1e-2]}, "mosaic": {"uniform": [0, 1]},
                 "per_variant": {"s": {"lr0": {"loguniform": [1e-4, 1e-3]}}}})  # fmt: skip
    assert job.default_params() == {"lr0": 0.01, "mosaic": 1.0}
    assert job.default_of("n") == {"lr0": 1.0, "mosaic": 1.0}
    assert job.default_of("s") is None


def test_a_run_gives_back_the_job_it_was_started_with():
    job = a_job(resources={"n": {"gpus": 0.25, "cpus": 2}}, train={"optimizer": "SGD", "cos_lr": True, "imgsz": 96})
    assert from_run(job.job.model_dump(mode="json"), job.space.to_flat()) == job


def test_a_run_of_other_rules_is_refused_in_words():
    job = a_job()
    with pytest.raises(ConfigError, match=r"^run.json: mood = 'good': unknown key"):
        from_run({**job.job.model_dump(mode="json"), "mood": "good"}, job.space.to_flat())


def test_a_job_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Job.model_validate(JOB).seed = 1


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_job_loads_from_the_root_of_the_repository(monkeypatch, path):
    monkeypatch.chdir(ROOT)
    loaded = load_job(path.relative_to(ROOT))
    assert loaded.job.name == path.stem
    assert loaded.job.horizon.milestones


def test_a_fixed_value_that_auto_ignores_is_refused(load):
    with pytest.raises(ConfigError) as caught:
        load({"train": {"lr0": 0.01}}, space={"mosaic": {"uniform": [0.0, 1.0]}})
    assert told(caught) == [
        "job.yaml: train.optimizer = auto: optimizer auto ignores lr0, which the job sets "
        "(name an optimizer, e.g. train.optimizer: SGD)"
    ]


@pytest.mark.parametrize(("trials", "fits"), [(1, False), (2, True)])
def test_every_size_gets_at_least_one_trial(load, trials, fits):
    budget = {"budget": {"max_epochs": 9, "trials": trials}}
    if fits:
        assert load(budget).job.budget.trials == 2
    else:
        with pytest.raises(ConfigError, match="must give each of the 2 variants at least one trial"):
            load(budget)


AUGMENT = {"online": [{"GaussNoise": {"p": 0.25}}]}
NOISE_SPACE = {"lr0": {"loguniform": [1e-4, 1e-1]}, "augment.GaussNoise.p": {"uniform": [0.0, 0.5]}}


def test_a_job_with_transforms_searches_their_parameters(load):
    Path("augment.yaml").write_text(yaml.safe_dump(AUGMENT))
    loaded = load({"augment": "augment.yaml"}, space=NOISE_SPACE)
    assert loaded.augmentation is not None
    assert loaded.default_params() == {"lr0": 0.01, "augment.GaussNoise.p": 0.25}
    assert loaded.default_of("n") == pytest.approx({"lr0": 2 / 3, "augment.GaussNoise.p": 0.5})
    again = from_run(loaded.job.model_dump(mode="json"), loaded.space.to_flat(), loaded.augmentation.to_flat())
    assert again == loaded


def test_set_reaches_a_dimension_whose_name_has_dots(load):
    Path("augment.yaml").write_text(yaml.safe_dump(AUGMENT))
    sets = ["search_space.augment.GaussNoise.p.uniform=[0.1, 0.2]"]
    space = load({"augment": "augment.yaml"}, sets, space=NOISE_SPACE).space
    assert space.distributions["augment.GaussNoise.p"].uniform == (0.1, 0.2)


def test_mistakes_of_all_three_files_are_told_together(load):
    Path("augment.yaml").write_text(yaml.safe_dump({"online": [3]}))
    with pytest.raises(ConfigError) as caught:
        load({"augment": "augment.yaml", "seed": -1}, space={"augment.GaussNoise": {"choice": [1]}})
    assert told(caught) == [
        "job.yaml: seed = -1: must be greater than or equal to 0",
        "space.yaml: augment.GaussNoise = 1: must name transform and parameter, e.g. augment.GaussNoise.p",
        "augment.yaml: online[0] = 3: must be one transform with its parameters, e.g. HorizontalFlip: {p: 0.5}",
    ]


def test_a_dimension_without_its_transform_is_told(load):
    with pytest.raises(ConfigError) as caught:
        load(space=NOISE_SPACE)
    rule = "is a parameter of a transform, and the job names no augment file"
    assert told(caught) == [f"job.yaml: search_space.augment.GaussNoise.p: {rule}"]


def test_a_dimension_is_no_training_argument(load):
    with pytest.raises(ConfigError, match=r"train.augment.GaussNoise.p = 0.1: is no training argument"):
        load({"train": {"optimizer": "SGD", "augment.GaussNoise.p": 0.1}})


def test_money_without_a_price_is_refused(load):
    with pytest.raises(ConfigError, match=r"budget.usd_per_gpu_hour: is needed to count budget.usd \(e.g. 0.64"):
        load(sets=["budget.usd=9"])
    assert load(sets=["budget.usd=9", "budget.usd_per_gpu_hour=0.64"]).job.budget.most_gpu_hours == 9 / 0.64


@pytest.mark.parametrize(
    ("budget", "hours"),
    [
        ({}, None),
        ({"gpu_hours": 8}, 8.0),
        ({"usd": 9, "usd_per_gpu_hour": 1.5}, 6.0),
        ({"gpu_hours": 8, "usd": 9, "usd_per_gpu_hour": 1.5}, 6.0),
        ({"gpu_hours": 4, "usd": 9, "usd_per_gpu_hour": 1.5}, 4.0),
        ({"gpu_hours": 4, "usd_per_gpu_hour": 1.5}, 4.0),
    ],
)
def test_the_lesser_of_hours_and_money_ends_a_sweep(budget, hours):
    assert Budget.model_validate({"max_epochs": 9, "trials": 5, **budget}).most_gpu_hours == hours


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"choice": [8, 12, 16]}, "search_space.batch = 12: must be a multiple of resources.n.gpus = 8"),
        ({"quniform": [8, 64, 4]}, "search_space.batch = 4: must be a multiple of resources.n.gpus = 8"),
        ({"choice": [8, 16]}, None),
        ({"quniform": [8, 64, 8]}, None),
    ],
)
def test_a_batch_that_the_gpus_of_a_trial_cannot_share_is_told(load, batch, message):
    sets = ["resources.n.gpus=8", f"search_space.batch={json.dumps(batch)}"]
    if message is None:
        assert load(sets=sets).job.resources_of("n").ranks == 8
        return
    with pytest.raises(ConfigError) as caught:
        load(sets=sets)
    assert any(message in one for one in told(caught)), told(caught)
