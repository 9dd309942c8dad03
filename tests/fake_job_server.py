"""A cluster's job server whose jobs do what a test says."""

from segsweep.cluster.job_server import RemoteJob


class Server:
    """A job server whose jobs do what a test says."""

    def __init__(self, jobs=(), logs=()):
        self.jobs = list(jobs)
        self.logs = list(logs)  # of each time it is asked: pieces, or an error to raise in their place
        self.sent = []
        self.stopped = []

    def jobs_of(self, run_uri):
        return list(self.jobs)

    def submit(self, job_id, command, folder, metadata):
        self.sent.append((job_id, command, sorted(file.name for file in folder.iterdir()), metadata))

    def log(self, job_id):
        for piece in self.logs.pop(0):
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def stop(self, job_id):
        self.stopped.append(job_id)
        self.jobs = [ended("STOPPED", job_id)]


def running(job_id="cats-1"):
    return RemoteJob(job_id, "RUNNING", None, "", 1)


def ended(status="SUCCEEDED", job_id="cats-1", code=0):
    return RemoteJob(job_id, status, code, "", 1)
