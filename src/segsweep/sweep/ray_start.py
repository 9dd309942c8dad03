"""Ray, joined or started; where that fails, the reason in one line."""

from __future__ import annotations

import logging
import os
import shutil
import socket
from typing import Any

import ray
from ray.exceptions import AuthenticationError

from segsweep.errors import ConfigError, NoSpaceError, Problem, RunError

_CONNECT_TIMEOUT_S = 5.0
# What Ray raises where it cannot be joined or started.
_FAILURES = (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError)
_LEAST_BYTES = 64 << 20  # of a session: its sockets, logs and what it knows of itself


def cluster_address() -> str | None:
    """The Ray cluster whose address is set, None for this machine alone."""
    address = os.environ.get("RAY_ADDRESS")
    return address if address and address != "local" else None


def join_cluster(address: str, **options: Any) -> None:
    """Connect this process to a cluster.

    Args:
        address: As `RAY_ADDRESS` has it.
        options: Further arguments of `ray.init`.

    Raises:
        ConfigError: There is no cluster at the address, or it wants another token.
    """
    require_listener(address)
    try:
        _init(address, options)
    except AuthenticationError as exc:
        rule = f"the cluster wants a token: {_line(exc)}"
        fix = "copy ~/.ray/auth_token from where `segsweep cluster` made it, and keep its mode of 0600"
        raise ConfigError(Problem("RAY_ADDRESS", rule, "", address, fix)) from exc
    except _FAILURES as exc:
        fix = (
            "start the cluster, mend the address, or unset it to run on this machine; "
            "a cluster also refuses whoever has another ~/.ray/auth_token than its own"
        )
        raise ConfigError(Problem("RAY_ADDRESS", f"no cluster answers: {_line(exc)}", "", address, fix)) from exc


def start_here(**options: Any) -> None:
    """Start a session of Ray on this machine, for this process alone.

    Args:
        options: Further arguments of `ray.init`.

    Raises:
        NoSpaceError: The disk with Ray's files is full.
        RunError: Ray cannot be started for another reason.
    """
    try:
        _init("local", options)
    except _FAILURES as exc:
        # Not `tempfile.gettempdir`: it passes over a folder that is full.
        folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - as Ray does
        free = shutil.disk_usage(folder).free
        if free < _LEAST_BYTES:
            rule = f"no room for a session of Ray: {free / 1e6:.1f} MB are free, it needs {_LEAST_BYTES / 1e6:.0f}"
            fix = "free space there, or name another folder with TMPDIR; then run the same command again"
            raise NoSpaceError(Problem(folder, rule, fix=fix)) from exc
        fix = f"Ray's own words are in {folder}/ray/session_latest/logs; the same command tries again"
        raise RunError(Problem("Ray", f"could not be started on this machine: {_line(exc)}", fix=fix)) from exc


def require_listener(address: str) -> None:
    """Fail soon where nobody listens: Ray itself tries for minutes.

    Raises:
        ConfigError: Nobody does.
    """
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdigit():
        return  # `auto` and the like name no host
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError as exc:
        fix = "start the cluster, mend the address, or unset it to run on this machine"
        raise ConfigError(Problem("RAY_ADDRESS", f"no cluster answers: {exc}", value=address, fix=fix)) from exc


def _init(address: str, options: dict[str, Any]) -> None:
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what fails is told by us, once
    ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **options)


def _line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
