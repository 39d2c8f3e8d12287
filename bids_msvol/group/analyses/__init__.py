# SPDX-License-Identifier: Apache-2.0
"""The analyses of the group level: a module for each of the plan, with its parts beside it."""
