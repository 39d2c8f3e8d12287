# SPDX-License-Identifier: Apache-2.0
"""Pure functions on images: arrays or images in, images or tables out; no paths, no BIDS, no configuration."""
