from __future__ import annotations

import zipfile

from segsweep.deploy.app_source import PACKAGE, licence_text, write_source


def test_the_archive_is_the_program_that_runs_and_its_licence(tmp_path):
    write_source(tmp_path / "source.zip")
    with zipfile.ZipFile(tmp_path / "source.zip") as archive:
        names = archive.namelist()
        assert archive.read("segsweep/deploy/app_source.py") == (PACKAGE / "deploy" / "app_source.py").read_bytes()
        assert b"GNU AFFERO GENERAL PUBLIC LICENSE" in archive.read("LICENSE")
    written = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*.py")}
    assert written <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("/")]


def test_the_licence_is_the_agpl():
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in (licence_text() or "")
