# SPDX-License-Identifier: Apache-2.0
"""The embedded head atlas and the template images that go with it."""

from bids_msvol.atlas.head import HeadAtlas, load_atlas

__all__ = ["HeadAtlas", "load_atlas"]
