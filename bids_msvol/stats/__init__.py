# SPDX-License-Identifier: Apache-2.0
"""Pure functions on arrays and columns: models, tests and corrections; no paths, no BIDS, no configuration."""
