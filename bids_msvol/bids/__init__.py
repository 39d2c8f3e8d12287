# SPDX-License-Identifier: Apache-2.0
"""BIDS in and out: the only package that knows file names, sidecars, pybids and the tables that are written."""
