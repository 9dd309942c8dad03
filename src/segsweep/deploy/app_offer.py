"""Everything named on the command line of the demo page, as one offer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segsweep.deploy.app_models import Offer, Offered, offer_files
from segsweep.deploy.image_files import find_image_files
from segsweep.deploy.model_file import is_run, told_apart
from segsweep.errors import ConfigError, Problem

MAX_EXAMPLES = 12
_NOWHERE = Path("/nonexistent")  # no folder of results to leave out


def make_offer(named: Sequence[str], examples: Sequence[str], cache_dir: Path) -> Offer:
    """The models of files, folders and runs, in the order in which they are named.

    Args:
        named: ONNX files, folders of `segsweep export`, runs.
        examples: Files, folders and patterns of images; where empty, test images of the runs.
        cache_dir: The node's cache, for runs.

    Raises:
        ConfigError: Something does not exist, is no model, or there are too many examples.
        SegsweepError: See `segsweep.deploy.app_front.offer_run`.
    """
    files = iter(offer_files([name for name in named if not is_run(name)]))
    shown = find_image_files(examples, _NOWHERE) if examples else ()
    if len(shown) > MAX_EXAMPLES:
        rule = f"must be at most {MAX_EXAMPLES} images"
        raise ConfigError(Problem("--examples", rule, value=str(len(shown)), fix="name the best ones"))
    offers: list[Offer] = []
    for name in named:
        if is_run(name):
            from segsweep.deploy.app_front import offer_run  # noqa: PLC0415  (imports what reports need)

            offers.append(offer_run(name, cache_dir))
        else:
            model = next(files)
            offers.append(Offer((model,), model.label))
    models = told_apart([(model.label, model.path) for offer in offers for model in offer.models])
    found = shown or tuple(image for offer in offers for image in offer.examples)[:MAX_EXAMPLES]
    return Offer(tuple(Offered(*one) for one in models.items()), offers[0].first, found)
