# SPDX-License-Identifier: Apache-2.0
"""The group level: from the tables of a cohort to results. One module for each family of analyses."""
