# SPDX-License-Identifier: Apache-2.0
"""One participant, top to bottom: which functions run, in which order."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import nibabel as nib
import numpy as np

from bids_msvol import __version__
from bids_msvol.bids.images import load_image
from bids_msvol.bids.load import has_finished_session, load_participant
from bids_msvol.bids.names import SessionFiles, log_dir, report_path
from bids_msvol.bids.outputs import write_session, write_sessions_table
from bids_msvol.bids.records import Session, Subject
from bids_msvol.bids.unmeasured import record_unmeasured
from bids_msvol.config import Config, participant_work_dir, result_hash
from bids_msvol.engines.atlas_engine import AtlasEngine
from bids_msvol.engines.structure_engine import StructureEngine
from bids_msvol.errors import MSVolError
from bids_msvol.imaging.brain import brain_mask
from bids_msvol.imaging.grids import conform, voxel_volume_mm3
from bids_msvol.imaging.quality import judge, voxel_metrics, worst_verdict
from bids_msvol.imaging.volumes import most_likely_labels, structure_volumes_mm3, tissue_probabilities
from bids_msvol.logs import Progress
from bids_msvol.measurement import SessionMeasurement
from bids_msvol.outcome import ParticipantOutcome, SessionFailure
from bids_msvol.report import write_report
from bids_msvol.steps import StepCache, file_digest, is_current, step_address, write_record
from bids_msvol.structures import STRUCTURES, SUMS

_logger = logging.getLogger(__name__)

STEPS_PER_SESSION = 3
"""Reading, measuring, writing."""


def run_participant(subject: Subject, config: Config) -> ParticipantOutcome:
    """Measure every session of a participant and write tables, images and report.

    A session that cannot be measured does not stop the others; one that an earlier run finished is left alone.

    Raises
    ------
    MSVolError
        If no session could be measured for a reason that concerns the participant as a whole.
    """
    start = time.monotonic()
    cache = StepCache(participant_work_dir(config, subject.label), __version__)
    written, failures = 0, []
    crash: Exception | None = None
    for session in subject.sessions:
        try:
            written += process_session(session, config, cache)
        except MSVolError as error:
            _logger.error("%s: %s", session.name, error)
            failures.append(SessionFailure(session.name, str(error), error.exit_code))
        except Exception as error:  # an error of ours: the finished sessions still get their table and report
            crash = error
            break
    changed = record_unmeasured(subject, config, failures)
    report = report_path(config.output_dir, subject.label)
    finished = has_finished_session(config.output_dir, subject.label)
    if finished and (written or changed or not report.exists()):
        write_sessions_table(config.output_dir, subject.label)
        write_report(load_participant(config.output_dir, subject.label), report)
    if crash is not None:
        raise crash
    return ParticipantOutcome(
        subject.label,
        "failed" if failures else "done" if written else "unchanged",
        seconds=time.monotonic() - start,
        failed_sessions=tuple(failures),
        report=report if report.exists() else None,
    )


def rebuild_report(label: str, config: Config) -> ParticipantOutcome:
    """Write a participant's report again from the files in the output folder."""
    start = time.monotonic()
    report = write_report(load_participant(config.output_dir, label), report_path(config.output_dir, label))
    return ParticipantOutcome(label, "done", seconds=time.monotonic() - start, report=report)


def process_session(session: Session, config: Config, cache: StepCache) -> bool:
    """Measure one session and write its files; return ``False`` if they were all there, unchanged."""
    progress = Progress(session.subject, session.label, STEPS_PER_SESSION)
    files = SessionFiles(config.output_dir, session.subject, session.label)
    record = log_dir(config.output_dir, session.subject) / f"{session.name}_finished.json"
    with progress.step("reading"):
        key = {"t1w": file_digest(session.t1w.path), "settings": result_hash(config)}
        address = step_address("session", __version__, {**key, "inputs": _input_names(session)})
        if is_current(record, address, (files.volumes, files.dseg)):
            return False
        image = load_image(session.t1w.path)
    with progress.step("measuring"):
        measured = cache.run("measure", lambda: measure_session(session, image, config), key=key).value
        # Another visit, or an earlier place of the dataset, may hold the very same image.
        measured = replace(measured, session=session)
    with progress.step("writing"):
        write_record(record, address, write_session(measured, config))
    return True


def measure_session(
    session: Session, image: nib.Nifti1Image, config: Config, engine: StructureEngine | None = None
) -> SessionMeasurement:
    """Measure the structures of one T1w image.

    Parameters
    ----------
    session
        The visit.
    image
        Its T1w.
    config
        Working voxel size and seed.
    engine
        Segmentation engine; the atlas engine if not given.
    """
    engine = engine if engine is not None else AtlasEngine()
    t1w = conform(image, config.resolution_mm)
    found = engine(t1w, seed=config.random_seed)

    volumes = structure_volumes_mm3(found.posteriors, found.classes, voxel_volume_mm3(t1w.affine))
    labels = most_likely_labels(found.posteriors, found.classes, found.mask)
    tissues = tissue_probabilities(found.posteriors, found.classes, found.mask)
    brain = brain_mask(tissues["GM"] + tissues["WM"])
    whole_brain = sum(volumes[index] for index in SUMS[0].members)
    etiv = sum(volumes[structure.index] for structure in STRUCTURES)
    diagnostics = {**found.diagnostics, **voxel_metrics(image, t1w)}
    quality, believed, believed_etiv = judge(diagnostics, volumes, etiv, whole_brain)

    def on_grid(data: np.ndarray) -> nib.Nifti1Image:
        return nib.Nifti1Image(data, t1w.affine)

    conforming = (
        f"The T1w image was brought to isotropic voxels of {config.resolution_mm:g} mm along its own axes; one that "
        "had them already was not resampled."
    )
    counting = (
        "Volumes are sums of posterior probabilities, so that partial volume counts; the intracranial volume (eTIV) is "
        "the sum of brain, ventricles and the fluid around the brain down to the lower end of the brainstem."
    )
    return SessionMeasurement(
        session=session,
        t1w=found.corrected,
        brain_mask=on_grid(brain.astype(np.uint8)),
        labels=on_grid(labels),
        tissue_probabilities={tissue: on_grid(values) for tissue, values in tissues.items()},
        volumes_mm3=believed,
        etiv_mm3=believed_etiv,
        to_template=found.to_template,
        template_space=found.template_space,
        quality=quality,
        verdict=worst_verdict(quality),
        skull_stripped=found.skull_stripped,
        sentences=(conforming, *found.sentences, counting),
    )


def _input_names(session: Session) -> dict[str, str | float | None]:
    """What the outputs repeat of the dataset besides the T1w's voxels."""
    others = {name: scan.relative_path for name, scan in (("flair", session.flair), ("t2w", session.t2w)) if scan}
    return {"t1w": session.t1w.relative_path, "choice": session.choice, "days": session.days, **others}
