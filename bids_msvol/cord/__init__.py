# SPDX-License-Identifier: Apache-2.0
"""The cervical cord: find it, outline it, tell its levels, measure it. Images in, records out; no paths, no BIDS."""
