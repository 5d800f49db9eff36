"""Clusters of Ray on this machine, as fixtures."""

import os

import pytest

from tests.helpers.killed_workers import children_of, command_of


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster whose workers compile once for all."""
    ray = pytest.importorskip("ray")
    scratch = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(scratch / "programs"))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("TMPDIR", str(scratch))  # of what tasks save
        start_cluster(ray)
        yield ray
        ray.shutdown()


def start_cluster(ray):
    """Starts it; a machine with other work to do may need several trials."""
    options = {"include_dashboard": False, "log_to_driver": False}
    for _ in range(3):
        try:
            ray.init("local", num_cpus=2, **options)
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
        else:
            return
    pytest.fail("No cluster could be started in 3 times 30 seconds.")


@pytest.fixture
def nodes(cluster, tmp_path, monkeypatch):
    """Two nodes of one core, and one of none, to which this belongs."""
    from ray.cluster_utils import Cluster

    cluster.shutdown()
    made = Cluster()
    made.add_node(num_cpus=0)
    two = [made.add_node(num_cpus=1) for _ in range(2)]
    cluster.init(address=made.address, log_to_driver=False)
    yield made, two
    cluster.shutdown()
    made.shutdown()
    start_cluster(cluster)


def tasks():
    """Returns processes that do a task at this moment."""
    return [
        pid
        for pid in children_of(os.getpid())
        if command_of(pid).startswith("ray::_do")
    ]
