# SPDX-License-Identifier: Apache-2.0
"""Synthetic people with multiple sclerosis whose anatomy, lesions and atrophy are known: ``python -m bids_msvol.demo``.

The modules follow the way from the atlas to the dataset: :mod:`anatomy` samples a head, :mod:`lesions` and
:mod:`atrophy` say what the disease does to it, :mod:`person` puts these together into visits, :mod:`scanner` images a
visit by the sequences of :mod:`protocol`, :mod:`clinical` gives age, sex and disability, :mod:`raw`, :mod:`truth` and
:mod:`truth_cord` write what is to be measured and what is known, and :mod:`dataset` does all this for as many people as
wanted. The neck below the head is drawn by chance in :mod:`neck_sampling`, known exactly in :mod:`neck`, drawn into the
scans by :mod:`neck_drawing` with the bones of :mod:`vertebrae`, and scanned alone by :mod:`cord_scan`.

Once they are measured, ``python -m bids_msvol.demo.recovered`` sets the truth beside what was found: :mod:`known` reads
it back, :mod:`recovery`, :mod:`lesion_recovery`, :mod:`activity_recovery` and :mod:`cord_recovery` compare,
:mod:`recovered` and :mod:`recovery_text` show it.

A whole cohort without images, ``python -m bids_msvol.demo.cohort``: :mod:`cohort_shapes` says what is planted,
:mod:`cohort_making` draws people, courses and volumes, :mod:`cohort_files` and :mod:`cohort_derivatives` write them as
the clinic and the participant level would.
"""
