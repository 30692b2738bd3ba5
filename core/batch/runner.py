# SPDX-License-Identifier: Apache-2.0
"""Runs the launches of a fleet, many at once; what happens to one never stops the others."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from .fleet import Fleet, FleetLaunch
from .intent import BatchOrder, Phase
from .jobs import FleetJobs, JobSource
from .one_launch import OneLaunch, Report, World
from .results import BatchSummary, LaunchResult, Outcome
from .taking_up import EarlierLaunches

if TYPE_CHECKING:
    from ..launch.desk import LaunchDesk
    from ..launch.surroundings import Surroundings

__all__ = ["BatchOrder", "Phase", "Report", "run_batch", "run_jobs"]


async def run_batch(
    fleet: Fleet,
    desk: LaunchDesk,
    surroundings: Surroundings,
    *,
    order: BatchOrder,
    report: Report,
) -> BatchSummary:
    """Take every launch of a fleet as far as it goes, ``order.jobs`` of them at once.

    Cancelling ends the batch in order: what is under way stops where the records know it,
    the rest is not begun, and the summary says so. Raises BadInput ``launches-under-way``
    before anything is begun.
    """
    earlier = EarlierLaunches(desk, fleet, desk.others_wrote)
    if order.phase is not Phase.COMPLETE and not order.resume:
        earlier.refuse_under_way(fleet)
    world = World(desk=desk, surroundings=surroundings, order=order, report=report, earlier=earlier)
    jobs = FleetJobs(fleet.launches, fleet.limits, order.per_host)
    results = await run_jobs(jobs, world, min(order.jobs, len(fleet.launches)))
    for planned in fleet.launches:
        if planned.name not in results:
            results[planned.name] = OneLaunch(planned, world).result(Outcome.NOT_BEGUN)
            report(results[planned.name].as_json())
    return BatchSummary(tuple(results[planned.name] for planned in fleet.launches))


async def run_jobs(jobs: JobSource, world: World, workers: int) -> dict[str, LaunchResult]:
    """Run what a source of launches gives, until it gives no more or this is cancelled.

    The results by name, each reported as soon as it is there.
    """
    results: dict[str, LaunchResult] = {}

    def note(result: LaunchResult) -> None:
        results[result.name] = result
        world.report(result.as_json())

    async def work() -> None:
        while (planned := await jobs.take()) is not None:
            await _settle(planned)
            jobs.over(planned)

    async def _settle(planned: FleetLaunch) -> None:
        one = OneLaunch(planned, world)
        try:
            note(await one.settle())
        except asyncio.CancelledError:
            note(one.result(Outcome.INTERRUPTED))
            raise

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
    finally:  # also where a result could not be reported: nothing goes on behind the caller's back
        for task in tasks:
            if not task.cancelling():  # a second time would cut its ending off
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return results
