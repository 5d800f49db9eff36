"""Tests for runtime/processes.py: workers, and what kills them."""

import os

import pytest

from tests.helpers.called_in_workers import cores_of, die_once, fail_or_wait
from tests.helpers.killed_workers import Fatal
from tiny_gpt.runtime.environment import count_threads
from tiny_gpt.runtime.processes import (
    MOST_BREAKS,
    ProcessPool,
    is_told_to_stop,
    share_cores,
)


def test_cores_are_shared_evenly(monkeypatch):
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False
    )
    assert share_cores(2) == [{0, 2}, {1, 3}]
    assert share_cores(4) == [{0}, {1}, {2}, {3}]
    # More processes than cores: each has at least one.
    assert all(share_cores(6))


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="needs affinity"
)
def test_each_worker_has_its_cores_and_the_threads_of_all(monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    expected = count_threads()
    with ProcessPool(2) as pool:
        found = dict(pool.map(cores_of, range(4)))
    assert set(found) == {0, 1, 2, 3}
    shares = [cores for cores, _ in found.values()]
    assert all(cores in share_cores(2) for cores in shares)
    assert {threads for _, threads in found.values()} == {expected}


@pytest.mark.slow
def test_a_call_whose_worker_was_killed_is_made_again(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    with ProcessPool(1) as pool:
        found = dict(pool.map(die_once, paths))
        # Again, by the worker that is there.
        ((_, worker),) = pool.map(die_once, paths[:1])
    assert list(found) == paths
    assert found[paths[1]] == worker != os.getpid()


@pytest.mark.slow
def test_workers_that_die_again_and_again_are_an_error():
    with (
        ProcessPool(1) as pool,
        pytest.raises(RuntimeError, match=f"killed {MOST_BREAKS} times"),
    ):
        list(pool.map(str, [Fatal()]))


@pytest.mark.slow
def test_what_a_call_raises_stops_the_others(tmp_path):
    told = tmp_path / "told"
    with ProcessPool(2) as pool:
        with pytest.raises(ArithmeticError, match="it diverged"):
            list(pool.map(fail_or_wait, [told, None]))
        assert told.exists()


def test_a_pool_has_a_worker_and_nobody_else_is_told():
    with pytest.raises(ValueError, match="num_processes=0"):
        ProcessPool(0)
    assert not is_told_to_stop()
