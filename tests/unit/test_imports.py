"""Large imports: the collector rests meanwhile and leaves what is imported alone."""

from __future__ import annotations

import gc

import pytest

from segsweep.imports import import_once


def test_what_is_there_after_an_import_is_not_walked_over_again() -> None:
    before = gc.get_freeze_count()
    try:
        module = import_once("segsweep.imports")
        assert module.import_once is import_once
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_a_failed_import_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError):
        import_once("segsweep.no_such_module")
    assert gc.isenabled()
